//! The door: address, key, permission and limits, then the action's own function.

use super::Salebot;
use super::answer::{Answer, empty_answer, error_answer, json_answer, refuse};
use super::arguments::Arguments;
use super::options::Permission::{self, DeleteClients, ReadClients, ReadDeals, WriteClients, WriteDeals};
use super::options::RateLimit;
use super::statistics::{Limit, LoggedRequest};
use crate::http::{Request, Response};

/// What an action needs to know of its request.
pub(super) struct Call {
    /// Unix milliseconds.
    pub now_ms: i64,
    /// Query and body.
    pub arguments: Arguments,
}

/// By which methods an action is called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Methods {
    Get,
    Post,
    Both,
}

impl Methods {
    fn include(self, method: &str) -> bool {
        match self {
            Self::Get => method == "GET",
            Self::Post => method == "POST",
            Self::Both => method == "GET" || method == "POST",
        }
    }
}

struct Route {
    name: &'static str,
    methods: Methods,
    permission: Permission,
    action: fn(&mut Salebot, &Call) -> Answer,
}

const fn route(
    name: &'static str,
    methods: Methods,
    permission: Permission,
    action: fn(&mut Salebot, &Call) -> Answer,
) -> Route {
    Route { name, methods, permission, action }
}

/// Methods and permissions as the API page gives them for each action. `get_clients` is
/// documented as GET and called as POST too.
const ROUTES: &[Route] = &[
    route("callback", Methods::Both, WriteClients, Salebot::callback),
    route("vk_callback", Methods::Both, WriteClients, Salebot::vk_callback),
    route("ok_callback", Methods::Both, WriteClients, Salebot::ok_callback),
    route("tg_callback", Methods::Post, WriteClients, Salebot::tg_callback),
    route("whatsapp_callback", Methods::Both, WriteClients, Salebot::whatsapp_callback),
    route("email_callback", Methods::Post, WriteClients, Salebot::email_callback),
    route("send_callback_by_platform_id", Methods::Post, WriteClients, Salebot::send_callback_by_platform_id),
    route("message", Methods::Both, WriteClients, Salebot::message),
    route("whatsapp_message", Methods::Both, WriteClients, Salebot::whatsapp_message),
    route("broadcast", Methods::Post, WriteClients, Salebot::broadcast),
    route("get_history", Methods::Get, ReadClients, Salebot::get_history),
    route("clear_history", Methods::Get, WriteClients, Salebot::clear_history),
    route("get_clients", Methods::Both, ReadClients, Salebot::get_clients),
    route("load_clients", Methods::Post, WriteClients, Salebot::load_clients),
    route("assign_to_user", Methods::Post, WriteClients, Salebot::assign_to_user),
    route("add_to_list", Methods::Post, WriteClients, Salebot::add_to_list),
    route("remove_from_list", Methods::Post, WriteClients, Salebot::remove_from_list),
    route("delete_clients", Methods::Post, DeleteClients, Salebot::delete_clients),
    route("save_variables", Methods::Post, WriteClients, Salebot::save_variables),
    route("get_variables", Methods::Get, ReadClients, Salebot::get_variables),
    route("find_client_id_by_platform_id", Methods::Post, ReadClients, Salebot::find_client_id_by_platform_id),
    route("online_chat_client_id", Methods::Get, WriteClients, Salebot::online_chat_client_id),
    route("whatsapp_client_id", Methods::Get, ReadClients, Salebot::whatsapp_client_id),
    route("find_client_id_by_phone", Methods::Get, ReadClients, Salebot::find_client_id_by_phone),
    route("find_client_id_by_email", Methods::Get, ReadClients, Salebot::find_client_id_by_email),
    route("find_client_id_by_var", Methods::Get, ReadClients, Salebot::find_client_id_by_var),
    route("find_latest_client_id_by_var", Methods::Get, ReadClients, Salebot::find_latest_client_id_by_var),
    route("find_all_client_id_by_var", Methods::Get, ReadClients, Salebot::find_all_client_id_by_var),
    route("find_all_client_id_by_several_vars", Methods::Get, ReadClients, Salebot::find_all_client_id_by_several_vars),
    route("find_clients", Methods::Post, ReadClients, Salebot::find_clients),
    route("get_current_order_id", Methods::Get, ReadDeals, Salebot::get_current_order_id),
    route("get_orders", Methods::Get, ReadDeals, Salebot::get_orders),
    route("get_order_state", Methods::Get, ReadDeals, Salebot::get_order_state),
    route("get_order_vars", Methods::Post, ReadDeals, Salebot::get_order_vars),
    route("set_order_vars", Methods::Post, WriteDeals, Salebot::set_order_vars),
    route("create_order", Methods::Post, WriteDeals, Salebot::create_order),
    route("set_order_state", Methods::Post, WriteDeals, Salebot::set_order_state),
    route("move_order_to_next_state", Methods::Post, WriteDeals, Salebot::move_order_to_next_state),
    route("connected_channels", Methods::Get, ReadClients, Salebot::connected_channels),
    route("get_messages", Methods::Get, ReadClients, Salebot::get_messages),
    route("check_whatsapp", Methods::Both, ReadClients, Salebot::check_whatsapp),
];

impl Salebot {
    /// Finds the action, holds the request to the limits, and logs how it ended.
    pub(super) fn route(&mut self, now_ms: i64, request: &Request) -> Response {
        let (key, name) = split_address(&request.path).unwrap_or_default();
        let found = ROUTES.iter().find(|route| route.name == name);
        let action = found.map_or("unknown", |route| route.name);
        let limit = self.meter.enter(&self.options, now_ms, action);
        let response = match limit {
            Some(Limit::Rate(rate)) => too_many(rate),
            Some(Limit::Quota) => error_answer("daily quota of requests is used up"),
            None => self.admit(now_ms, request, key, found).unwrap_or_else(|early| early),
        };
        self.meter.leave(&self.options, LoggedRequest { action, status: response.status, at_ms: now_ms });
        response
    }

    fn admit(&mut self, now_ms: i64, request: &Request, key: &str, found: Option<&Route>) -> Answer {
        let held = self.options.keys.iter().find(|held| held.is(key)).ok_or_else(|| refuse(self.options.wrong_key))?;
        let route = found.filter(|route| route.methods.include(&request.method)).ok_or_else(|| empty_answer(404))?;
        if !held.allows(route.permission) {
            return Err(refuse(self.options.missing_permission));
        }
        let unreadable = json_answer(400, &serde_json::json!({ "status": "error", "message": "body is not JSON" }));
        let arguments = Arguments::read(request).map_err(|_| unreadable)?;
        (route.action)(self, &Call { now_ms, arguments })
    }
}

/// Key and action of `/api/{api_key}/{action}`.
fn split_address(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix("/api/")?.trim_end_matches('/').split_once('/')
}

fn too_many(rate: RateLimit) -> Response {
    let mut response = json_answer(429, &serde_json::json!({ "status": "error", "message": "too many requests" }));
    if let Some(after_s) = rate.retry_after_s {
        response.headers.push(("retry-after".to_owned(), after_s.to_string()));
    }
    response
}
