//! The stand-in beside an error: what was written, uncached, with an empty companion, so that callers of the
//! function do not report faults of their own.
//!
//! (1) Nothing of strata-cache is named here. (2) No attribute of ours is left, so nothing is expanded twice.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{ImplItem, ItemImpl};

use crate::block::is_cached;
use crate::expand::of_companion;
use crate::item::{Function, speaks_of_its_type};

/// The function, and beside a free one the type of its name.
pub(crate) fn function(function: &Function) -> TokenStream {
    let item = &function.item;
    if function.receiver.is_some() || speaks_of_its_type(item) {
        return item.to_token_stream();
    }
    let (name, vis) = (function.name(), &item.vis);
    let attrs = of_companion(&item.attrs);
    quote! {
        #item
        #(#attrs)*
        #[allow(non_camel_case_types, dead_code, missing_docs)]
        #vis enum #name {}
    }
}

/// The impl block without our attributes on its functions.
pub(crate) fn block(mut item: ItemImpl) -> TokenStream {
    for member in &mut item.items {
        if let ImplItem::Fn(function) = member {
            function.attrs.retain(|attr| !is_cached(attr));
        }
    }
    item.to_token_stream()
}
