"""Read, check and write the files that pass between stages."""
