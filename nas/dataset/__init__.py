"""Image classification data sets: reading, splitting, augmentation and batches."""
