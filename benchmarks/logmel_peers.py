"""Log-mel of one clip by ours and by others, each as its own documentation has it, on one thread.

Each function makes what is made once, and returns what computes the spectrogram of a clip in dB;
it raises ImportError where the library is not here. The others' filters, scales and padding are
their own: the time is compared, not the values.
"""

from collections.abc import Callable

import numpy as np

from genre_mlops.config import FeatureConfig
from genre_mlops.domain import Clip

Compute = Callable[[Clip], np.ndarray]
CONFIG = FeatureConfig()


def ours() -> tuple[str, Compute]:
    """Ours."""
    from genre_mlops import __version__
    from genre_mlops.logmel import LogMel, mel_filters

    return f"genre-mlops {__version__}", LogMel(CONFIG, mel_filters(CONFIG))


def librosas() -> tuple[str, Compute]:
    """Librosa's, which makes the filters anew for each clip."""
    import librosa

    def compute(clip: Clip) -> np.ndarray:
        S = librosa.feature.melspectrogram(
            y=clip.y,
            sr=clip.sr,
            n_fft=CONFIG.n_fft,
            hop_length=CONFIG.hop_length,
            n_mels=CONFIG.n_mels,
            fmax=CONFIG.fmax,
        )
        return librosa.power_to_db(S, ref=(CONFIG.n_fft / 4) ** 2, top_db=None)

    return f"librosa {librosa.__version__}", compute


def tensorflows() -> tuple[str, Compute]:
    """TensorFlow's, as a graph."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    filters = tf.signal.linear_to_mel_weight_matrix(
        CONFIG.n_mels, 1 + CONFIG.n_fft // 2, CONFIG.sr, 20.0, CONFIG.fmax
    )

    @tf.function
    def graph(y: tf.Tensor) -> tf.Tensor:
        spectrum = tf.signal.stft(y, CONFIG.n_fft, CONFIG.hop_length)
        S = tf.square(tf.abs(spectrum)) @ filters
        return tf.math.log(tf.maximum(S, 1e-10)) * (10 / np.log(10))

    return f"tf.signal {tf.__version__}", lambda clip: graph(clip.y).numpy()


def audiofluxes() -> tuple[str, Compute]:
    """Audioflux's mel spectrogram."""
    import audioflux
    from audioflux.type import SpectralDataType, SpectralFilterBankScaleType

    bank = audioflux.BFT(
        num=CONFIG.n_mels,
        radix2_exp=int(np.log2(CONFIG.n_fft)),
        samplate=CONFIG.sr,
        low_fre=CONFIG.fmin,
        high_fre=CONFIG.fmax,
        slide_length=CONFIG.hop_length,
        scale_type=SpectralFilterBankScaleType.MEL,
        data_type=SpectralDataType.POWER,
    )

    def compute(clip: Clip) -> np.ndarray:
        return audioflux.utils.power_to_db(bank.bft(clip.y, result_type=1))

    return f"audioFlux {audioflux.__version__}", compute


def essentias() -> tuple[str, Compute]:
    """Essentia's, frame by frame."""
    import essentia
    from essentia import standard

    essentia.log.infoActive = False
    window = standard.Windowing(type="hann", normalized=False)
    spectrum = standard.PowerSpectrum(size=CONFIG.n_fft)
    bands = standard.MelBands(
        numberBands=CONFIG.n_mels,
        inputSize=1 + CONFIG.n_fft // 2,
        sampleRate=CONFIG.sr,
        highFrequencyBound=CONFIG.fmax,
        type="magnitude",
    )

    def compute(clip: Clip) -> np.ndarray:
        frames = standard.FrameGenerator(clip.y, CONFIG.n_fft, CONFIG.hop_length)
        S = np.array([bands(spectrum(window(frame))) for frame in frames])
        return 10 * np.log10(np.maximum(S, 1e-10))

    return f"essentia {essentia.__version__}", compute


ALL = (ours, librosas, tensorflows, audiofluxes, essentias)
