"""From a table of labelled applications to a tested model and its card. Only training needs scikit-learn."""
