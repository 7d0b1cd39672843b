//! The faults of one attribute, gathered so that all of them come at once.

use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// All that is wrong so far.
#[derive(Default)]
pub(crate) struct Faults(Option<syn::Error>);

impl Faults {
    pub(crate) fn new() -> Self {
        Self(None)
    }

    /// Adds a fault under one token.
    pub(crate) fn at(&mut self, span: Span, message: impl Display) {
        self.add(syn::Error::new(span, message));
    }

    /// Adds a fault under all tokens of a piece of syntax.
    pub(crate) fn on(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.add(syn::Error::new_spanned(tokens, message));
    }

    /// Adds a fault met by the parser.
    pub(crate) fn add(&mut self, fault: syn::Error) {
        match &mut self.0 {
            Some(faults) => faults.combine(fault),
            None => self.0 = Some(fault),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The faults as tokens, beside the item that stands in.
    pub(crate) fn beside(self, item: TokenStream) -> TokenStream {
        let mut tokens = self.0.map_or_else(TokenStream::new, syn::Error::into_compile_error);
        tokens.extend(item);
        tokens
    }
}

impl From<syn::Error> for Faults {
    fn from(fault: syn::Error) -> Self {
        Self(Some(fault))
    }
}
