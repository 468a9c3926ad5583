"""Making the detector of names and other private words: data, training, judging, and the file that ships."""
