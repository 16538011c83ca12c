"""Modem: the codec's symbols as sound for a radio's microphone socket, and back.

Everything here is numpy; a receiver is given nothing but samples.
"""
