"""Models of Keras 3: of HGQ2, of QKeras for Keras 3, and Keras' own layers between them."""
