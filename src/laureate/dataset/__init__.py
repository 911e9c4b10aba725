"""From portraits to a data set: user folders, checks, captions, the split into train and holdout."""
