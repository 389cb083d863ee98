//! axum's extractors, with refusals that are [`Problem`]s.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// A JSON body: 400 if it is not JSON, 413 if it is too large, 415 if it says that it is
/// something else, 422 if it is JSON of another shape.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

/// The query string: 422 if it is not of the expected shape.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

/// The parameters in the path: 404 if they can't be read, since nothing is there.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        // In two steps, so that everything that is wrong with well-formed JSON is a 422.
        match axum::Json::<serde_json::Value>::from_request(request, state).await {
            Ok(axum::Json(value)) => serde_json::from_value(value)
                .map(Json)
                .map_err(|error| Problem::unprocessable("body", error.to_string())),
            Err(JsonRejection::JsonSyntaxError(error)) => Err(Problem::bad_request(format!(
                "not valid JSON: {}",
                root_cause(&error)
            ))),
            Err(rejection) => Err(Problem::new(rejection.status(), rejection.body_text())),
        }
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Query::from_request_parts(parts, state)
            .await
            .map_or_else(
                |rejection: QueryRejection| {
                    Err(Problem::unprocessable("query", root_cause(&rejection)))
                },
                |axum::extract::Query(query)| Ok(Self(query)),
            )
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Path::from_request_parts(parts, state)
            .await
            .map_or_else(
                |_: PathRejection| Err(Problem::not_found("there is nothing here")),
                |axum::extract::Path(path)| Ok(Self(path)),
            )
    }
}

/// What the innermost error says: the outer ones only say that a request can't be read.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
