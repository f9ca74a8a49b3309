//! The C interface of libchdb, as far as Petrel uses it (`chdb.h` of the version in
//! deploy/dev/clickhouse): connections, statements with parameters, classification.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

use super::options::EngineError;

/// `chdb_connection`: opaque.
type RawConnection = *mut c_void;
/// `chdb_result *`: opaque.
type RawResult = *mut c_void;

/// `chdb_query_analysis_v1`.
#[repr(C)]
#[derive(Default)]
struct RawAnalysis {
    struct_size: u32,
    statement_count: u32,
    flags: u32,
    query_class: u32,
}

type QueryWithParams = unsafe extern "C" fn(
    RawConnection,
    *const c_char,
    usize,
    *const c_char,
    usize,
    *const *const c_char,
    *const usize,
    *const *const c_char,
    *const usize,
    usize,
) -> RawResult;
type Classify =
    unsafe extern "C" fn(RawConnection, *const c_char, usize, *const c_char, usize, *mut RawAnalysis) -> c_int;

/// The loaded library. Never unloaded: it has threads of its own.
pub(super) struct Library {
    connect: unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut RawConnection,
    close: unsafe extern "C" fn(*mut RawConnection),
    query: QueryWithParams,
    classify: Classify,
    result_error: unsafe extern "C" fn(RawResult) -> *const c_char,
    result_buffer: unsafe extern "C" fn(RawResult) -> *const u8,
    result_length: unsafe extern "C" fn(RawResult) -> usize,
    result_rows: unsafe extern "C" fn(RawResult) -> u64,
    result_rows_written: unsafe extern "C" fn(RawResult) -> u64,
    result_destroy: unsafe extern "C" fn(RawResult),
    shutdown: unsafe extern "C" fn() -> c_int,
    version: String,
}

/// What kind of statement a text holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Leaves no trace.
    ReadOnly,
    /// Writes.
    Mutating,
    /// Changes the session or the server, or writes outside of the engine (`INTO OUTFILE`).
    Control,
    /// Does not parse.
    Unknown,
}

/// What a text would do, without running it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Analysis {
    pub statements: u32,
    pub class: Class,
}

/// What a statement answered.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answered {
    pub body: Vec<u8>,
    pub rows_read: u64,
    pub rows_written: u64,
}

impl Library {
    /// Loads the library and switches its signal handlers off.
    pub(super) fn open(path: &Path) -> Result<Arc<Self>, EngineError> {
        let failed = |detail: String| EngineError::Library { path: path.to_owned(), detail };
        // SAFETY: the caller names the engine's library; its initialisers are what it is loaded for.
        let library = unsafe { libloading::Library::new(path) }.map_err(|e| failed(e.to_string()))?;
        // Leaked on purpose: its functions stay valid for the life of the process.
        let library: &'static libloading::Library = Box::leak(Box::new(library));
        macro_rules! symbol {
            ($name:literal) => {
                // SAFETY: the signatures are those of chdb.h, in the version that package-lock.json pins.
                *unsafe { library.get(concat!($name, "\0").as_bytes()) }.map_err(|e| failed(e.to_string()))?
            };
        }
        let set_handlers: unsafe extern "C" fn(c_int) = symbol!("chdb_set_signal_handlers_enabled");
        let version: unsafe extern "C" fn() -> *const c_char = symbol!("chdb_version");
        // SAFETY: both may be called at any time before the first connection; the text is static.
        let version = unsafe {
            set_handlers(0);
            CStr::from_ptr(version())
        };
        Ok(Arc::new(Self {
            connect: symbol!("chdb_connect"),
            close: symbol!("chdb_close_conn"),
            query: symbol!("chdb_query_with_params_n"),
            classify: symbol!("chdb_classify_query_n"),
            result_error: symbol!("chdb_result_error"),
            result_buffer: symbol!("chdb_result_buffer"),
            result_length: symbol!("chdb_result_length"),
            result_rows: symbol!("chdb_result_storage_rows_read"),
            result_rows_written: symbol!("chdb_result_rows_written"),
            result_destroy: symbol!("chdb_destroy_query_result"),
            shutdown: symbol!("chdb_shutdown"),
            version: version.to_string_lossy().into_owned(),
        }))
    }

    /// Version of the library.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Opens a connection; the first one starts the engine on `data_dir`. Later ones cost little.
    pub(super) fn connect(self: &Arc<Self>, data_dir: &Path) -> Result<Connection, String> {
        let mut path = b"--path=".to_vec();
        path.extend(data_dir.as_os_str().as_bytes());
        let path = CString::new(path).map_err(|_| "the path contains a NUL byte".to_owned())?;
        let name = c"clickhouse";
        let mut arguments = [name.as_ptr().cast_mut(), path.as_ptr().cast_mut()];
        // SAFETY: two NUL-terminated strings that outlive the call, which copies them.
        let handle = unsafe { (self.connect)(2, arguments.as_mut_ptr()) };
        let handle = NonNull::new(handle).ok_or(
            "it refused the connection; its own message stands in its log (is another engine using the data?)",
        )?;
        Ok(Connection { library: self.clone(), handle })
    }

    /// Joins the engine's threads. All connections must be closed.
    pub(super) fn shut_down(&self) -> bool {
        // SAFETY: may be called at any time; it refuses while a connection is open.
        unsafe { (self.shutdown)() == 0 }
    }
}

/// One session with the engine: settings and current database are its own.
pub(super) struct Connection {
    library: Arc<Library>,
    handle: NonNull<RawConnection>,
}

impl Connection {
    /// Runs one text. Parameters are bound by the engine, never put into the text.
    ///
    /// The error is the engine's own text.
    pub(super) fn query(&self, sql: &[u8], format: &str, params: &[(String, String)]) -> Result<Answered, String> {
        let names: Vec<*const c_char> = params.iter().map(|(name, _)| name.as_ptr().cast()).collect();
        let name_lengths: Vec<usize> = params.iter().map(|(name, _)| name.len()).collect();
        let values: Vec<*const c_char> = params.iter().map(|(_, value)| value.as_ptr().cast()).collect();
        let value_lengths: Vec<usize> = params.iter().map(|(_, value)| value.len()).collect();
        // SAFETY: every pointer is valid for the length that goes with it until the call returns.
        let result = unsafe {
            (self.library.query)(
                *self.handle.as_ptr(),
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
                names.as_ptr(),
                name_lengths.as_ptr(),
                values.as_ptr(),
                value_lengths.as_ptr(),
                params.len(),
            )
        };
        if result.is_null() {
            return Err("Code: 1002. DB::Exception: the engine gave no result. (UNKNOWN_EXCEPTION)".into());
        }
        let answer = self.read(result);
        // SAFETY: the result is ours, is not null, and nothing points into it any more.
        unsafe { (self.library.result_destroy)(result) };
        answer
    }

    fn read(&self, result: RawResult) -> Result<Answered, String> {
        let library = &self.library;
        // SAFETY: `result` is a valid result; its text and buffer live until it is destroyed.
        unsafe {
            let error = (library.result_error)(result);
            if !error.is_null() {
                return Err(CStr::from_ptr(error).to_string_lossy().into_owned());
            }
            let (buffer, length) = ((library.result_buffer)(result), (library.result_length)(result));
            let body = if buffer.is_null() || length == 0 {
                Vec::new()
            } else {
                slice::from_raw_parts(buffer, length).to_vec()
            };
            let (rows_read, rows_written) = ((library.result_rows)(result), (library.result_rows_written)(result));
            Ok(Answered { body, rows_read, rows_written })
        }
    }

    /// Says what a text would do.
    pub(super) fn classify(&self, sql: &[u8]) -> Analysis {
        let mut raw = RawAnalysis { struct_size: size_of::<RawAnalysis>() as u32, ..RawAnalysis::default() };
        // SAFETY: the text is valid for its length, `raw` has the size it states, no target database.
        let state = unsafe {
            (self.library.classify)(
                *self.handle.as_ptr(),
                sql.as_ptr().cast(),
                sql.len(),
                std::ptr::null(),
                0,
                &mut raw,
            )
        };
        let class = match raw.query_class {
            _ if state != 0 => Class::Unknown,
            0 => Class::ReadOnly,
            1 | 2 => Class::Mutating,
            3 => Class::Control,
            _ => Class::Unknown,
        };
        Analysis { statements: raw.statement_count, class }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: the handle is ours and is used by nobody after this.
        unsafe { (self.library.close)(self.handle.as_ptr()) };
    }
}
