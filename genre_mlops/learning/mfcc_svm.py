"""MFCC statistics of a stored spectrogram, and the support vector machine that learns from them."""

from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from genre_mlops.config import BaselineConfig


def mfcc_statistics(S_db: NDArray[np.floating], n_mfcc: int) -> NDArray[np.float32]:
    """Sum up how MFCCs lie and move in a spectrogram.

    MFCCs are the first coefficients of the orthonormal DCT-II of a log-mel frame (S. Davis and P.
    Mermelstein, IEEE Transactions on Acoustics, Speech, and Signal Processing 28(4), 1980).

    Parameters
    ----------
    S_db : ndarray [shape=(n_frames, n_mels)]
        Log-mel in dB; at least one frame.
    n_mfcc : int
        Coefficients, the one of the level included; at most n_mels are there.

    Returns
    -------
    ndarray [shape=(3 * min(n_mfcc, n_mels),), dtype=float32]
        Mean and standard deviation of each, and standard deviation of its change from frame to
        frame (0 where there is one frame only); all in dB.
    """
    mfcc = scipy.fft.dct(S_db.astype(np.float32), axis=1, norm="ortho")[:, :n_mfcc]
    change = np.diff(mfcc, axis=0) if len(mfcc) > 1 else np.zeros_like(mfcc)
    return np.concatenate([mfcc.mean(axis=0), mfcc.std(axis=0), change.std(axis=0)])


def make_svm(config: BaselineConfig) -> Any:
    """Make the machine: standardised inputs, a Gaussian kernel as wide as their number asks for.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Not yet fitted.
    """
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    return make_pipeline(StandardScaler(), SVC(C=config.svm_c, gamma="scale"))
