"""The log-mel spectrogram is what it was: models in registries depend on it."""

import numpy as np

from genre_mlops.config import FeatureConfig
from genre_mlops.domain import Clip
from genre_mlops.logmel import LogMel, mel_filters
from tests.golden import make_logmel as golden


def test_the_chirp_has_the_stored_spectrogram():
    config = FeatureConfig(
        sr=golden.SR,
        n_fft=golden.N_FFT,
        hop_length=golden.HOP_LENGTH,
        n_mels=golden.N_MELS,
        fmin=golden.FMIN,
        fmax=golden.FMAX,
    )
    with np.load(golden.GOLDEN) as stored:
        expected = stored["S_db"]
    found = LogMel(config, mel_filters(config))(Clip("chirp", golden.chirp(), golden.SR))
    assert found.shape == expected.shape == (49, 40)
    heard = expected > -80
    assert heard.mean() > 0.9
    np.testing.assert_allclose(found[heard], expected[heard], atol=0.05)
