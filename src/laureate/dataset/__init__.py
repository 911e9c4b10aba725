"""Make the data set: filter, caption and split pictures; check a user's image folder."""
