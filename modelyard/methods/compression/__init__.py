"""Making a trained model smaller and faster."""
