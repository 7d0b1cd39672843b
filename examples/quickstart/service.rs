//! What the traffic needs of the shop, so that the same traffic can face the cache, no cache, and hand-made ones.

use std::error::Error;

use crate::answers::Answer;
use crate::database::Database;
use crate::facts::Fact;

/// Whatever made an answer impossible.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// Answers questions, and is told when an answer has changed.
///
/// What is told holds when the call returns: no question asked later may be answered with what was there before.
pub(crate) trait Service: Send + Sync + 'static {
    /// Answers a thread, which may block.
    fn answer(&self, fact: Fact) -> Result<Answer, Failure>;
    /// Answers a task, which must not.
    fn answer_task(&self, fact: Fact) -> impl Future<Output = Result<Answer, Failure>> + Send;
    /// A fact has changed in the database.
    fn changed(&self, fact: Fact) -> Result<(), Failure>;
    /// Many facts of a user have changed.
    fn user_changed(&self, org: u32, user: u32) -> Result<(), Failure>;
    /// Many facts of an organisation and its users have changed.
    fn org_changed(&self, org: u32) -> Result<(), Failure>;
}

/// No cache at all: every question is a query.
impl Service for Database {
    fn answer(&self, fact: Fact) -> Result<Answer, Failure> {
        Ok(self.query_for(fact)?)
    }

    async fn answer_task(&self, fact: Fact) -> Result<Answer, Failure> {
        Ok(self.blocking(move |database| database.query_for(fact)).await?)
    }

    fn changed(&self, _: Fact) -> Result<(), Failure> {
        Ok(())
    }

    fn user_changed(&self, _: u32, _: u32) -> Result<(), Failure> {
        Ok(())
    }

    fn org_changed(&self, _: u32) -> Result<(), Failure> {
        Ok(())
    }
}
