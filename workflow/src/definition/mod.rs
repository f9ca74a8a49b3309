mod shape;
pub(crate) use shape::Shape;
