//! The kinds of type that serde has no word for, and the setters of params.

/// A string that is one of some values today; what later versions add is kept as `Other`.
macro_rules! open_enum {
    (
        $(#[doc = $doc:literal])*
        pub enum $name:ident {
            $($(#[doc = $arm_doc:literal])* $arm:ident = $value:literal,)*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[doc = $arm_doc])* $arm,)*
            /// A value that this version does not know.
            Other(String),
        }

        impl $name {
            /// The value as it crosses the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$arm => $value,)*
                    Self::Other(value) => value,
                }
            }
        }

        impl From<&str> for $name {
            fn from(value: &str) -> Self {
                match value {
                    $($value => Self::$arm,)*
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <std::borrow::Cow<'de, str>>::deserialize(deserializer)
                    .map(|value| Self::from(&*value))
            }
        }
    };
}

/// A string that is one of some values. Only ever sent, so none is unknown.
macro_rules! closed_enum {
    (
        $(#[doc = $doc:literal])*
        pub enum $name:ident {
            $($arm:ident = $value:literal,)*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
        #[non_exhaustive]
        pub enum $name {
            $(
                #[serde(rename = $value)]
                $arm,
            )*
        }

        // What serde derives would take the number of an arm as well.
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                use serde::de::Error as _;
                match &*<std::borrow::Cow<'de, str>>::deserialize(deserializer)? {
                    $($value => Ok(Self::$arm),)*
                    other => Err(D::Error::unknown_variant(other, &[$($value,)*])),
                }
            }
        }
    };
}

/// One of several structs, told apart by a field; what later versions add is kept as `Unknown`.
macro_rules! tagged_union {
    (
        $(#[doc = $doc:literal])*
        pub enum $name:ident by $tag:literal {
            $($arm:ident($kind:ty) = $value:literal,)*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        // An event is moved once, from the stream to its reader: a box would cost more.
        #[allow(clippy::large_enum_variant)]
        pub enum $name {
            $($arm($kind),)*
            /// Of a kind that this version does not know.
            Unknown(JsonObject),
        }

        $(
            impl From<$kind> for $name {
                fn from(value: $kind) -> Self {
                    Self::$arm(value)
                }
            }
        )*

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$arm(value) => value.serialize(serializer),)*
                    Self::Unknown(fields) => fields.serialize(serializer),
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                use serde::de::Error as _;
                let fields = $crate::types::plain::deserialize_object(deserializer)?;
                match fields.get($tag).and_then(Value::as_str) {
                    $(
                        Some($value) => <$kind>::deserialize(Value::Object(fields))
                            .map(Self::$arm)
                            .map_err(D::Error::custom),
                    )*
                    Some(_) => Ok(Self::Unknown(fields)),
                    None => Err(D::Error::missing_field($tag)),
                }
            }
        }
    };
}

/// One of several kinds of JSON value, such as a string or a list.
macro_rules! kind_union {
    (
        $(#[doc = $doc:literal])*
        pub enum $name:ident {
            $($arm:ident($kind:ty),)*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(untagged)]
        pub enum $name {
            $($arm($kind),)*
        }

        $(
            impl From<$kind> for $name {
                fn from(value: $kind) -> Self {
                    Self::$arm(value)
                }
            }
        )*
    };
}

/// A method of a params type for each field that may be left out.
macro_rules! setters {
    ($name:ty { $($(#[doc = $doc:literal])* $field:ident: $kind:ty,)* }) => {
        impl $name {
            $(
                $(#[doc = $doc])*
                #[must_use]
                pub fn $field(mut self, $field: impl Into<$kind>) -> Self {
                    self.$field = Some($field.into());
                    self
                }
            )*
        }
    };
}

pub(crate) use {closed_enum, kind_union, open_enum, setters, tagged_union};
