"""What every module may use: errors, atomic files, the project's paths, progress bars."""
