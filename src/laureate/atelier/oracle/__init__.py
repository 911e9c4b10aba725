"""The oracle: the embedded world can draw any number of pictures, so it knows what a small study should say."""
