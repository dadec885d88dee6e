//! Customers.

use std::mem;

use tonic::{Request, Response, Status};

use super::Api;
use super::call::{self, Statuses};
use super::crud::{Edit, Listing, Reading, Removal, respond};
use super::page::{Scope, label_facets, managed_facet};
use crate::domain::Customer;
use crate::proto::v1;
use crate::proto::v1::customer_service_server::CustomerService;
use crate::state::{Query, Reset};

#[tonic::async_trait]
impl CustomerService for Api {
    async fn list_customers(
        &self,
        request: Request<v1::ListCustomersRequest>,
    ) -> Result<Response<v1::ListCustomersResponse>, Status> {
        let statuses = Statuses::of(&request);
        let request = request.into_inner();
        let filters = v1::ListCustomersRequest {
            page_size: 0,
            page_token: String::new(),
            from_memory: false,
            view: 0,
            ..request.clone()
        };
        let scope = Scope::new("ListCustomers", &filters);
        let v1::ListCustomersRequest { page_size, page_token, from_memory, view, search, labels, managed_by } = request;
        let mut facets = label_facets(labels);
        facets.extend(managed_facet(managed_by));
        let query = Query { facets, search: Some(search), ..Query::default() };
        let reading = Reading { from_memory, view };
        let listed = self.list::<Customer>(Listing { page_size, page_token, reading, scope, query }).await;
        let listed = listed.map(|listed| v1::ListCustomersResponse {
            customers: listed.items,
            next_page_token: listed.next_page_token,
            total_size: listed.total_size,
        });
        respond(listed, &statuses)
    }

    async fn create_customer(
        &self,
        request: Request<v1::CreateCustomerRequest>,
    ) -> Result<Response<v1::CreateCustomerResponse>, Status> {
        let (call, statuses, request) = call::enter(request, "tollgate.v1.CustomerService/CreateCustomer", |r| {
            (mem::take(&mut r.request_id), r.validate_only)
        })?;
        let answer = |customer| v1::CreateCustomerResponse { customer: Some(customer) };
        let created = self.create::<Customer, _>(call, request.customer, |_| {}, answer).await;
        respond(created.map(|(answer, _)| answer), &statuses)
    }

    async fn get_customer(
        &self,
        request: Request<v1::GetCustomerRequest>,
    ) -> Result<Response<v1::GetCustomerResponse>, Status> {
        let statuses = Statuses::of(&request);
        let v1::GetCustomerRequest { id, from_memory, view } = request.into_inner();
        let found = self.get::<Customer>(&id, Reading { from_memory, view }).await;
        respond(found.map(|customer| v1::GetCustomerResponse { customer: Some(customer) }), &statuses)
    }

    async fn update_customer(
        &self,
        request: Request<v1::UpdateCustomerRequest>,
    ) -> Result<Response<v1::UpdateCustomerResponse>, Status> {
        let (call, statuses, request) = call::enter(request, "tollgate.v1.CustomerService/UpdateCustomer", |r| {
            (mem::take(&mut r.request_id), r.validate_only)
        })?;
        let answer = |customer, also_changed| v1::UpdateCustomerResponse { customer: Some(customer), also_changed };
        respond(
            self.update::<Customer, _>(
                call,
                Edit {
                    message: request.customer,
                    mask: request.update_mask,
                    reset: Reset { budgets: request.reset_budget_usage, rate_limits: request.reset_rate_limit_usage },
                },
                answer,
            )
            .await,
            &statuses,
        )
    }

    async fn delete_customer(
        &self,
        request: Request<v1::DeleteCustomerRequest>,
    ) -> Result<Response<v1::DeleteCustomerResponse>, Status> {
        let (call, statuses, request) = call::enter(request, "tollgate.v1.CustomerService/DeleteCustomer", |r| {
            (mem::take(&mut r.request_id), r.validate_only)
        })?;
        let answer = |revision, also_changed, total_changed_count| v1::DeleteCustomerResponse {
            revision,
            also_changed,
            total_changed_count,
        };
        let v1::DeleteCustomerRequest { id, revision: expected, children, .. } = request;
        respond(self.delete::<Customer, _>(call, Removal { id: &id, expected, children }, answer).await, &statuses)
    }
}
