"""Load a model by MLflow alone and predict files with it: run by its path, by `predict_apart`.

Nothing of this project is imported but what the model brings along.
"""

import json
import sys

import mlflow
import pandas as pd

if __name__ == "__main__":
    uri, paths = json.loads(sys.argv[1])
    answers = mlflow.pyfunc.load_model(uri).predict(pd.DataFrame({"path": paths}))
    sys.stdout.write(f"{answers.to_json(orient='records')}\n")
