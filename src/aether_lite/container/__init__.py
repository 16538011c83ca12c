"""Container files of hash codecs (.aeth): layout, entropy coder, priors."""
