"""Of every room a test or a few, by how their names begin: what breaks first when a dependency changes.

`pytest -m smoke` runs them, `.ci/run` on the lowest versions that are allowed.
"""

SMOKE = {
    "core": ["test_no_two_streams_share_a_key", "test_structures_tell_classes_apart"],
    "devices": ["test_samples_stay_divided_over_the_devices"],
    "datasets": ["test_hosts_share_each_batch_out", "test_columns_of_numbers_are_read_by_hugging_face"],
    "plots": ["test_errors_by_level_have_bars_of_two_standard_errors_that_stay_above_zero"],
    "schedules": ["test_lambda_to_level_and_back", "test_rules_are_uniform_in_their_own_variable"],
    "corruptions": ["test_inpainting_keeps_what_was_seen_and_costs_nothing"],
    "calibration": ["test_a_network_is_calibrated_after_guidance_and_with_its_conditions"],
    "denoisers": ["test_networks_of_every_framework_sample"],
    "losses": ["test_drawn_levels_have_their_law"],
    "models": ["test_networks_start_at_zero_and_their_gradients_are_finite"],
    "targets": ["test_special_forms_equal_the_full_one"],
    "mcmc": ["test_draws_are_every_thin_th_state_after_the_warmup", "test_diagnostics_count_independent_draws"],
    "samplers": ["test_mixture_law_is_exact_to_the_sampling_floor[unipc2]", "test_ddim_with_full_noise_is_ddpm"],
    "running": ["test_defaults_give_samples_and_stats", "test_shards_are_the_rows_of_one_run"],
    "density": ["test_jacobian_of_ddim_is_the_product_of_its_multipliers"],
    "metrics": ["test_sliced_w2_of_unequal_sizes_is_that_of_ott", "test_frechet_distance_is_the_bures_formula"],
    "training": ["test_a_finished_run_goes_on", "test_weights_survive_a_safetensors_file", "test_tensorboard_shows"],
    "discrete": ["test_local_fields_are_half"],
    "learning": ["test_fit_recovers_a_mixture", "test_two_centers_lie_about_the_mean_of_the_data"],
    "supervised": [
        "test_errors_of_at_least_two_of_eight",
        "test_ten_rows_in_the_plane",
        "test_the_slope_is_that_of_the_least_squares",
        "test_limits_are_those_of_clopper",
        "test_known_moments",
    ],
    "sparameters": ["test_the_posterior_is_that_of", "test_touchstone_files"],
    "theory": ["test_sizes_follow_the_formulas", "test_times_of_speciation"],
    "quantum": ["test_known_eigenvalues", "test_known_rates", "test_known_laws", "test_the_bias_of_keyl"],
    "recipes": ["test_a_toy_gets_the_metrics_of_its_law_and_a_table"],
    "cli": ["test_help_names_each_option_and_its_default"],
    "kernels": ["test_table_is_the_published_recursion", "test_gauss_windows_integrate_polynomials"],
}
