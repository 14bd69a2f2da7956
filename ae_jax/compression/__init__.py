"""Files of examples that a trained model makes smaller and gives back."""
