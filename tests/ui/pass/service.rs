//! A service as people write them: SQL, clients, repositories, traits, errors by thiserror and anyhow. It is written twice, here
//! with the attribute and in `service_plain.rs` without; a test compares the two.
#![deny(warnings)]
#![allow(clippy::all)]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use strata_cache::cached;

static RUNS: AtomicU32 = AtomicU32::new(0);

fn ran() {
    RUNS.fetch_add(1, Relaxed);
}

// ---- the database ----

#[derive(Clone)]
struct Db(Arc<Mutex<Connection>>);

impl Db {
    fn open() -> anyhow::Result<Self> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(
            "create table users (org integer, id integer, name text, email text, primary key (org, id));
             create table plans (org integer, code text, seats integer);
             insert into users values (1, 1, 'Ada', 'ada@acme.test'), (1, 2, 'Bob', null), (2, 1, 'Eve', null);
             insert into plans values (1, 'gold', 10), (1, 'free', 1), (2, 'free', 1);",
        )?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    fn with<T>(&self, run: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        run(&self.0.lock().unwrap())
    }
}

trait FromRow: Sized + Clone + Send + Sync + 'static {
    const SQL: &'static str;
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self>;
}

#[derive(Debug, Clone, PartialEq)]
struct User {
    id: i64,
    name: String,
    email: Option<String>,
}

impl FromRow for User {
    const SQL: &'static str = "select id, name, email from users where org = ?1 and id = ?2";
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { id: row.get(0)?, name: row.get(1)?, email: row.get(2)? })
    }
}

#[derive(Debug, Clone, PartialEq)]
struct UserName(String);

impl FromRow for UserName {
    const SQL: &'static str = "select name from users where org = ?1 and id = ?2";
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        row.get(0).map(Self)
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Plan {
    code: String,
    seats: u32,
}

#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error("user {0} is not there")]
    Missing(i64),
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
enum HttpError {
    #[error("status {0}")]
    Status(u16),
}

// ---- 20 functions ----

/// 1. A row by its ids.
#[cached(scope = "user", ttl = "10m", skip(db))]
fn user_by_id(db: &Db, org_id: i64, user_id: i64) -> Result<User, AppError> {
    ran();
    let found = db.with(|sql| sql.query_row(User::SQL, params![org_id, user_id], User::from_row).optional())?;
    found.ok_or(AppError::Missing(user_id))
}

/// 2. A list, and an error of any kind.
#[cached(scope = "org", ttl = 600, skip(db), tags("plans"))]
fn plans(db: &Db, org_id: i64) -> anyhow::Result<Vec<Plan>> {
    ran();
    if org_id == 0 {
        bail!("organisations are counted from one");
    }
    let plans = db
        .with(|sql| {
            let mut statement = sql.prepare("select code, seats from plans where org = ?1 order by code")?;
            let rows = statement.query_map([org_id], |row| Ok(Plan { code: row.get(0)?, seats: row.get(1)? }))?;
            rows.collect()
        })
        .context("plans")?;
    Ok(plans)
}

/// 3. Whatever can be made of a row.
#[cached(scope = "org", ttl = "1h", negative = "30s", skip(db))]
fn load<T: FromRow>(db: &Db, org_id: i64, id: i64) -> rusqlite::Result<Option<T>> {
    ran();
    db.with(|sql| sql.query_row(T::SQL, params![org_id, id], T::from_row).optional())
}

#[derive(Clone)]
struct Client {
    base: String,
}

impl Client {
    async fn get(&self, path: &str) -> Result<String, HttpError> {
        std::future::ready(()).await;
        if path.contains("nobody") { Err(HttpError::Status(404)) } else { Ok(format!("{}{path}", self.base)) }
    }
}

/// 4. A call of another service.
#[cached(scope = "org", ttl = "5m", skip(client))]
async fn profile(client: &Client, org_id: &str, login: &str) -> Result<String, HttpError> {
    ran();
    client.get(&format!("/{org_id}/{login}")).await
}

/// 5. With a client that is handed over.
#[cached(scope = "org", ttl = "5m", skip(client))]
async fn avatar(client: Client, org_id: String, login: String, size: Option<u32>) -> Option<Arc<[u8]>> {
    ran();
    let url = client.get(&format!("/{org_id}/{login}/{}", size.unwrap_or(64))).await.ok()?;
    Some(url.into_bytes().into())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Currency {
    Eur,
    Usd,
}

/// 6. The same for everybody.
#[cached(scope = "global", ttl = RATES)]
fn rate(base: Currency, quote: Currency) -> f64 {
    ran();
    if base == quote { 1.0 } else { 1.25 }
}

const RATES: Duration = Duration::from_secs(60);

/// 7. Out of a map that has an order.
#[cached(scope = "global", max = 1_000)]
fn render(template: &str, variables: &BTreeMap<String, String>) -> String {
    ran();
    variables.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Tenant {
    org: i64,
    region: &'static str,
}

/// 8. Ids inside of an argument.
#[cached(scope = "org", ids(org = tenant.org), skip(db))]
fn seats(db: &Db, tenant: &Tenant, code: &str) -> Result<u32, AppError> {
    ran();
    let sql = "select seats from plans where org = ?1 and code = ?2";
    Ok(db.with(|found| found.query_row(sql, params![tenant.org, code], |row| row.get(0)))?)
}

/// 9. A flag.
#[cached(scope = "org", ttl = "30s", jitter = off)]
fn is_enabled(org_id: &str, flag: &str) -> bool {
    ran();
    !org_id.is_empty() && flag.len() % 2 == 0
}

/// 10. Absence is an answer.
#[cached(scope = "global", ttl = "1d", negative = "1h")]
fn country(ip: IpAddr) -> Option<&'static str> {
    ran();
    ip.is_loopback().then_some("here")
}

/// 11. As many on a page as the type says.
#[cached(scope = "org", skip(db))]
fn page<const SIZE: usize>(db: &Db, org_id: i64, page: usize) -> Result<Vec<UserName>, rusqlite::Error> {
    ran();
    db.with(|sql| {
        let mut statement = sql.prepare("select name from users where org = ?1 order by id limit ?2 offset ?3")?;
        statement.query_map(params![org_id, SIZE as i64, (page * SIZE) as i64], UserName::from_row)?.collect()
    })
}

/// 12. A file.
#[cached(scope = "global", idle = "10m")]
fn config(path: &Path) -> std::io::Result<Arc<str>> {
    ran();
    let text = std::fs::read_to_string(path)?;
    Ok(text.into())
}

/// 13. A fallible step that loads by another function.
#[cached(scope = "user", skip(db))]
fn greeting(db: &Db, org_id: i64, user_id: i64, language: Option<&str>) -> Result<String, AppError> {
    ran();
    let user = user_by_id(db, org_id, user_id)?;
    Ok(format!("{} {}", language.unwrap_or("hello"), user.name))
}

// ---- a trait and its implementation ----

trait Users {
    type Id;
    type Error;
    fn find(&self, org_id: i64, id: Self::Id) -> Result<Option<User>, Self::Error>;
    async fn email(&self, org_id: i64, id: Self::Id) -> Result<Option<String>, Self::Error>;
}

struct SqlUsers {
    db: Db,
    replica: &'static str,
}

#[cached]
impl Users for SqlUsers {
    type Id = i64;
    type Error = AppError;

    /// 14. By an associated type, with an associated error.
    #[cached(scope = "org", ttl = "10m", receiver = self.replica)]
    fn find(&self, org_id: i64, id: Self::Id) -> Result<Option<User>, Self::Error> {
        ran();
        Ok(self.db.with(|sql| sql.query_row(User::SQL, params![org_id, id], User::from_row).optional())?)
    }

    /// 15. Async, in a trait.
    #[cached(scope = "org", ttl = "10m", receiver = self.replica)]
    async fn email(&self, org_id: i64, id: Self::Id) -> Result<Option<String>, Self::Error> {
        ran();
        std::future::ready(()).await;
        Ok(self.find(org_id, id)?.and_then(|user| user.email))
    }
}

// ---- a service over whatever repository ----

struct Service<R> {
    users: R,
    name: String,
}

#[cached]
impl<R> Service<R>
where
    R: Users<Id = i64, Error = AppError> + Send + Sync + 'static,
{
    /// 16. Of a service that is generic.
    #[cached(scope = "org", receiver = self.name)]
    async fn display(&self, org_id: i64, id: i64) -> Result<String, AppError> {
        ran();
        let user = self.users.find(org_id, id)?;
        let email = self.users.email(org_id, id).await?;
        Ok(format!("{} <{}>", user.map_or_else(String::new, |user| user.name), email.unwrap_or_default()))
    }

    /// 17. A search whose words may come in any case.
    #[cached(scope = "org", receiver = self.name, key = |query, exact| (query.to_lowercase(), *exact), when = |found| !found.is_empty())]
    fn search<'q>(&self, org_id: i64, query: &'q str, exact: bool) -> Vec<i64> {
        ran();
        let find = |id| self.users.find(org_id, id).ok().flatten();
        let is_it = |user: &User| if exact { user.name.eq_ignore_ascii_case(query) } else { user.name.to_lowercase().contains(&query.to_lowercase()) };
        (1..3).filter_map(find).filter(is_it).map(|user| user.id).collect()
    }

    /// 18. Without a receiver.
    #[cached(scope = "global", receiver = ())]
    fn version(&self) -> (u8, u8) {
        ran();
        (1, 0)
    }
}

/// 19. Patterns, defaults, and something borrowed that is not in the key.
#[cached(scope = "org", skip(log))]
fn total(org_id: i64, (year, _): (u16, u8), quarters: &[u8], log: &mut Vec<String>) -> Result<u64, AppError> {
    ran();
    log.push(format!("{org_id}/{year}"));
    let sum: u64 = quarters.iter().map(|quarter| u64::from(*quarter)).sum();
    if sum == 0 { Err(std::io::Error::other("nothing"))? } else { Ok(sum * u64::from(year)) }
}

/// 20. Once for each organisation.
#[cached(scope = "org", allow(unit), skip(db))]
fn warm(db: &Db, org_id: i64) {
    ran();
    let _ = plans(db, org_id);
}

// ---- all of it, twice ----

static SETUP: LazyLock<Db> = LazyLock::new(|| Db::open().expect("a database"));

fn now<F: Future>(future: F) -> F::Output {
    match std::pin::pin!(future).poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("not ready"),
    }
}

/// Everything once; what came of it, as text.
fn everything() -> Vec<String> {
    let db = &*SETUP;
    let client = Client { base: "http://users.test".into() };
    let service = Service { users: SqlUsers { db: db.clone(), replica: "eu" }, name: "service".into() };
    let variables = BTreeMap::from([("name".to_owned(), "Ada".to_owned())]);
    let file = Path::new(file!());
    let mut log = Vec::new();
    warm(db, 1);
    vec![
        format!("{:?}", user_by_id(db, 1, 1).unwrap()),
        format!("{:?}", plans(db, 1).unwrap()),
        format!("{:?}", load::<User>(db, 1, 2).unwrap()),
        format!("{:?}", load::<UserName>(db, 1, 2).unwrap()),
        format!("{:?}", load::<UserName>(db, 1, 9).unwrap()),
        format!("{:?}", now(profile(&client, "acme", "ada"))),
        format!("{:?}", now(avatar(client.clone(), "acme".into(), "ada".into(), None)).map(|bytes| bytes.len())),
        format!("{:?}", rate(Currency::Eur, Currency::Usd)),
        render("Dear {name}", &variables),
        format!("{:?}", seats(db, &Tenant { org: 1, region: "eu" }, "gold").unwrap()),
        format!("{:?}", is_enabled("acme", "dark")),
        format!("{:?}", country(IpAddr::from([127, 0, 0, 1]))),
        format!("{:?}", country(IpAddr::from([9, 9, 9, 9]))),
        format!("{:?}", page::<1>(db, 1, 1).unwrap()),
        format!("{:?}", page::<2>(db, 1, 0).unwrap()),
        format!("{:?}", config(file).map(|text| text.is_empty()).unwrap_or(false)),
        greeting(db, 1, 1, Some("hi")).unwrap(),
        greeting(db, 1, 1, None).unwrap(),
        format!("{:?}", service.users.find(1, 2).unwrap()),
        now(service.display(1, 1)).unwrap(),
        format!("{:?}", service.search(1, "ADA", true)),
        format!("{:?}", service.version()),
        format!("{:?}", total(1, (2026, 4), &[1, 2], &mut log).unwrap()),
    ]
}

fn main() {
    let (first, runs) = (everything(), RUNS.swap(0, Relaxed));
    let (second, again) = (everything(), RUNS.swap(0, Relaxed));
    assert_eq!(first, second);
    assert!(runs >= 23, "{runs}");
    // A file that cannot be read from where this runs is an error, and errors are not stored.
    let unread = u32::from(!Path::new(file!()).exists());
    assert_eq!(again, if file!().ends_with("plain.rs") { runs } else { unread });

    // Errors are errors, each time.
    assert!(matches!(user_by_id(&SETUP, 1, 9), Err(AppError::Missing(9))));
    assert!(matches!(user_by_id(&SETUP, 1, 9), Err(AppError::Missing(9))));
    assert_eq!(plans(&SETUP, 0).unwrap_err().to_string(), "organisations are counted from one");
    let client = Client { base: String::new() };
    assert_eq!(now(profile(&client, "acme", "nobody")), Err(HttpError::Status(404)));
    assert!(matches!(total(1, (2026, 4), &[], &mut Vec::new()), Err(AppError::Io(_))));
    assert_eq!(Tenant { org: 1, region: "eu" }.region, "eu");
}
