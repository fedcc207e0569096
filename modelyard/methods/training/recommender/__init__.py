"""Recommenders: who rates or clicks what. Factorisation machines, wide & deep, DCN V2, trained by the one loop."""
