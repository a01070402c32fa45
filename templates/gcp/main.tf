# A Cloud Function that serves durable functions, with Terraform: the function, the account that it runs as, its secrets
# and the sync with Inngest. docs/deploy-gcp.md says what each part is for.
#
# It begins with what scripts/deploy_gcp stages: run `scripts/deploy_gcp NAME --region REGION --dry-run`, and of what
# that prints the commands before `gcloud`. The project's services and the secrets are there already, as docs/deploy-gcp.md
# makes them: what Terraform makes of a secret's value would stay in its state.

terraform {
  required_version = ">= 1.5"
  required_providers {
    archive = {
      source  = "hashicorp/archive"
      version = "~> 2.4"
    }
    google = {
      source  = "hashicorp/google"
      version = ">= 5.0, < 8.0"
    }
  }
}

variable "project" {
  description = "The project's ID."
  type        = string
}

variable "region" {
  description = "Where the function runs, e.g. europe-west1."
  type        = string
}

variable "name" {
  description = "The function's name, which is the app's ID as well unless the code gives another."
  type        = string
  default     = "onboarding"

  validation {
    # What services and service accounts may be called.
    condition     = can(regex("^[a-z][-a-z0-9]{4,28}[a-z0-9]$", var.name))
    error_message = "A name of 6 to 30 lowercase letters, digits and dashes, please."
  }
}

variable "source_dir" {
  description = "The folder that has the function's main.py and requirements.txt."
  type        = string
  default     = "../../build/gcp"
}

variable "concurrency" {
  description = "The requests that an instance is given at once."
  type        = number
  default     = 20
}

variable "secrets" {
  description = "The secrets in Secret Manager, by the variable that they are for. They are made beforehand."
  type        = map(string)
  default = {
    INNGEST_SIGNING_KEY = "inngest-signing-key"
    INNGEST_EVENT_KEY   = "inngest-event-key"
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

resource "google_service_account" "function" {
  account_id   = var.name
  display_name = "Runs the function ${var.name}"
}

resource "google_secret_manager_secret_iam_member" "function" {
  for_each  = var.secrets
  secret_id = each.value
  role      = "roles/secretmanager.secretAccessor"
  member    = "serviceAccount:${google_service_account.function.email}"
}

resource "google_storage_bucket" "source" {
  name                        = "${var.project}-${var.name}-source"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
}

data "archive_file" "source" {
  type        = "zip"
  source_dir  = var.source_dir
  output_path = "${path.module}/source.zip"
  excludes    = ["**/__pycache__/**"]
}

resource "google_storage_bucket_object" "source" {
  bucket = google_storage_bucket.source.name
  # The name changes with the content, so that a new source is a new deployment.
  name   = "${data.archive_file.source.output_sha256}.zip"
  source = data.archive_file.source.output_path
}

resource "google_cloudfunctions2_function" "function" {
  name     = var.name
  location = var.region

  build_config {
    runtime     = "python312"
    entry_point = "handler"
    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.source.name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.function.email
    max_instance_request_concurrency = var.concurrency
    max_instance_count               = 10
    timeout_seconds                  = 300
    available_memory                 = "512Mi"
    available_cpu                    = "1"
    all_traffic_on_latest_revision   = true
    environment_variables = {
      # functions-framework has four threads a core otherwise, whatever the concurrency.
      THREADS = tostring(var.concurrency)
    }

    dynamic "secret_environment_variables" {
      for_each = var.secrets
      content {
        key        = secret_environment_variables.key
        project_id = var.project
        secret     = secret_environment_variables.value
        version    = "latest"
      }
    }
  }

  depends_on = [google_secret_manager_secret_iam_member.function]
}

# Anybody may call the URL: the signature of each request, which the handler checks with the signing key, is the
# authentication.
resource "google_cloud_run_service_iam_member" "everybody" {
  location = var.region
  service  = google_cloudfunctions2_function.function.name
  role     = "roles/run.invoker"
  member   = "allUsers"
}

# Tells Inngest which functions the new revision has. The script waits until the app answers.
resource "terraform_data" "sync" {
  triggers_replace = google_cloudfunctions2_function.function.update_time

  provisioner "local-exec" {
    command = "python3 ${path.module}/../../scripts/deploy_gcp_sync.py ${self.output}/api/inngest 300"
  }

  input      = google_cloudfunctions2_function.function.service_config[0].uri
  depends_on = [google_cloud_run_service_iam_member.everybody]
}

output "url" {
  description = "Where the function is reached."
  value       = google_cloudfunctions2_function.function.service_config[0].uri
}
