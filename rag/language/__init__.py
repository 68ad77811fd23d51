"""What the program says to people: messages as values, put into words in the language of whoever reads them."""
