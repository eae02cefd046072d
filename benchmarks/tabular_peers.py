"""Whom `benchmarks.accuracy` sets beside nineline on tables: each at its defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd


def nineline(classes: bool, seed: int, X: pd.DataFrame) -> Any:
    """Ours."""
    from nineline.estimators import TabularClassifier, TabularRegressor

    return (TabularClassifier if classes else TabularRegressor)(random_state=seed)


def hist_gradient_boosting(classes: bool, seed: int, X: pd.DataFrame) -> Any:
    """scikit-learn's boosted trees; its categories are those of pandas, levels by their number."""
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    names = list(X.select_dtypes("category").columns)
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    empty = [name for name in X.columns if X[name].isna().all()]  # it has no bins for those
    columns = make_column_transformer((codes, names), ("drop", empty), remainder="passthrough")
    few = [i for i, name in enumerate(names) if X[name].nunique() < 255]
    return make_pipeline(columns, kind(random_state=seed, categorical_features=few))


def lightgbm(classes: bool, seed: int, X: pd.DataFrame) -> Any:
    """LightGBM, told of the categories by pandas' dtype."""
    from lightgbm import LGBMClassifier, LGBMRegressor

    return (LGBMClassifier if classes else LGBMRegressor)(random_state=seed, verbose=-1)


def catboost(classes: bool, seed: int, X: pd.DataFrame) -> Any:
    """CatBoost, told which columns are categories."""
    from catboost import CatBoostClassifier, CatBoostRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    names = list(X.select_dtypes("category").columns)

    def as_text(X: pd.DataFrame) -> pd.DataFrame:
        return X.assign(**{name: X[name].astype(object).where(X[name].notna(), "missing") for name in names})

    kind = CatBoostClassifier if classes else CatBoostRegressor
    model = kind(random_seed=seed, cat_features=names, verbose=0, allow_writing_files=False)
    return make_pipeline(FunctionTransformer(as_text), model)


def _scaled(X: pd.DataFrame, model: Any) -> Any:
    """Return a model behind what scikit-learn's guide puts in front: scaling, imputation, one-hot."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    texts, numbers = list(X.select_dtypes("category").columns), list(X.select_dtypes("number").columns)
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts),
    )
    return make_pipeline(columns, model)


def sklearn_mlp(classes: bool, seed: int, X: pd.DataFrame) -> Any:
    """scikit-learn's MLP, on scaled columns; its target standardised."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.preprocessing import StandardScaler

    if classes:
        return _scaled(X, MLPClassifier(random_state=seed))
    return _scaled(X, TransformedTargetRegressor(MLPRegressor(random_state=seed), transformer=StandardScaler()))


def linear(classes: bool, seed: int, X: pd.DataFrame) -> Any:
    """A linear model, on scaled columns."""
    from sklearn.linear_model import LogisticRegression, Ridge

    return _scaled(X, LogisticRegression(max_iter=1000) if classes else Ridge())


def _imputed(X: pd.DataFrame, model: Any) -> Any:
    """Return a model behind what fills in missing numbers; categories stay what they are."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    numbers = list(X.select_dtypes("number").columns)
    fill = (SimpleImputer(keep_empty_features=True), numbers)
    columns = make_column_transformer(fill, remainder="passthrough", verbose_feature_names_out=False)
    return make_pipeline(columns.set_output(transform="pandas"), model)


def realmlp_td_s(classes: bool, seed: int, X: pd.DataFrame) -> Any:
    """RealMLP, the small variant, as pytabkit has it."""
    from pytabkit import RealMLP_TD_S_Classifier, RealMLP_TD_S_Regressor

    kind = RealMLP_TD_S_Classifier if classes else RealMLP_TD_S_Regressor
    return _imputed(X, kind(random_state=seed, device="cpu"))


def realmlp_td(classes: bool, seed: int, X: pd.DataFrame) -> Any:
    """RealMLP at its tuned defaults."""
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    kind = RealMLP_TD_Classifier if classes else RealMLP_TD_Regressor
    return _imputed(X, kind(random_state=seed, device="cpu"))


PEERS: Final[dict[str, Callable[[bool, int, pd.DataFrame], Any]]] = {
    "nineline": nineline,
    "hist-gradient-boosting": hist_gradient_boosting,
    "lightgbm": lightgbm,
    "catboost": catboost,
    "sklearn-mlp": sklearn_mlp,
    "linear": linear,
    "realmlp-td-s": realmlp_td_s,
    "realmlp-td": realmlp_td,
}
