"""What tutorials serve a music genre classifier by: FastAPI, librosa and Keras.

The model is loaded once; an upload is saved to a temporary file; its spectrogram is cut into
segments, and what the network says of them is averaged. GENRE_MODEL names the `.keras` file and
GENRE_NAMES the genres, separated by commas.
"""

import os
import shutil
import tempfile
from pathlib import Path

import librosa
import numpy as np
from fastapi import FastAPI, UploadFile
from tensorflow import keras

SR, N_FFT, HOP_LENGTH, N_MELS = 22_050, 2_048, 512, 128
# dB relative to a full-scale sine, as the network was trained.
FULL_SCALE = (N_FFT / 4) ** 2

app = FastAPI()
model = keras.models.load_model(os.environ["GENRE_MODEL"])
genres = os.environ["GENRE_NAMES"].split(",")


@app.get("/")
def root() -> dict[str, str]:
    """Say that it is there."""
    return {"status": "ok"}


@app.post("/predict")
def predict(audio: UploadFile) -> dict[str, object]:
    """Say which genre a recording has."""
    with tempfile.NamedTemporaryFile(suffix=Path(audio.filename or "").suffix) as file:
        shutil.copyfileobj(audio.file, file)
        file.flush()
        y, sr = librosa.load(file.name, sr=SR)
    S = librosa.feature.melspectrogram(
        y=y, sr=sr, n_fft=N_FFT, hop_length=HOP_LENGTH, n_mels=N_MELS
    )
    S_db = librosa.power_to_db(S, ref=FULL_SCALE, amin=1e-10 * FULL_SCALE, top_db=None).T
    n_frames = model.input_shape[1]
    n_segments = len(S_db) // n_frames
    segments = S_db[: n_segments * n_frames].reshape(n_segments, n_frames, N_MELS)
    mean = model.predict(segments, verbose=0).mean(axis=0)
    return {
        "genre": genres[int(np.argmax(mean))],
        "probabilities": {g: float(p) for g, p in zip(genres, mean, strict=True)},
    }
