"""How the crisis encoder is made: corpus, augmentation, fine-tuning, export, calibration, evaluation.

Nothing here runs in the shipped product; torch is imported inside functions only.
"""
