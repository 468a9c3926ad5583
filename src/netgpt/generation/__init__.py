"""One question put to several models: in order, side by side where one is late, and carried on where one broke off."""
