namespace Dbt.Cli.Config;

/// <summary>The keys of xl.cfg by what they do here.</summary>
internal static class ConfigKeys
{
    /// <summary>Keys that have their effect.</summary>
    public static readonly IReadOnlySet<string> Used = new HashSet<string>
    {
        "name", "type", "builder", "uuid", "vcpus", "maxvcpus", "cpu_weight", "cap", "memory", "maxmem", "kernel", "ramdisk", "cmdline", "root", "extra", "disk",
        "cpuid", "vif", "tick_slack", "code_cache", "max_event_channels", "max_grant_frames", "max_maptrack_frames", "max_grant_version",
        "on_poweroff", "on_reboot", "on_crash", "on_watchdog", "on_soft_reset",
    };

    /// <summary>Keys whose effect is yet to come.</summary>
    public static readonly IReadOnlySet<string> NotYet = new HashSet<string>
    {
        "channel", "vfb", "vkb", "p9", "bootloader", "bootloader_args", "firmware", "loader",
        "tsc_mode", "rtc_timeoffset", "localtime",
        "cpus",
    };

    /// <summary>Keys of xl that can mean nothing to this hypervisor.</summary>
    public static readonly IReadOnlySet<string> Meaningless = new HashSet<string>
    {
        "pool", "cpus_soft", "nodes", "vnuma", "nomigrate", "driver_domain", "device_tree", "seclabel", "init_seclabel", "device_model_version",
        "device_model_override", "device_model_stubdomain_override", "device_model_user", "device_model_args", "device_model_args_pv", "claim_mode",
        "e820_host", "pci", "pci_permissive", "pci_msitranslate", "pci_seize", "pci_power_mgmt", "gfx_passthru", "rdm", "rdm_mem_boundary", "dtdev",
        "ioports", "iomem", "irqs", "usbctrl", "usbdev", "usb", "usbdevice", "vtpm", "vdispl", "vsnd", "vscsi", "serial", "boot", "hap", "oos", "pae",
        "acpi", "apic", "nx", "nestedhvm", "hpet", "viridian", "xen_platform_pci", "mca_caps", "altp2m", "altp2mhvm", "shadow_memory", "timer_mode",
        "vpt_align", "vncunused", "vnc", "vnclisten", "vncdisplay", "vncpasswd", "sdl", "opengl", "spice", "keymap", "stdvga", "vga", "videoram",
        "soundhw", "vmtrace_buf_kb", "vpmu", "passthrough", "suppress_spurious_page_faults", "swiotlb", "hdtype", "cdrom", "xend_config_format",
        "blkdev_start", "scheduler", "period", "slice", "latency", "extratime", "features", "cpu_mask", "maxmem_slack", "exec", "tpm", "invtsc",
        "dm_restrict", "vmgenid", "system_firmware", "bios", "bios_path_override", "acpi_firmware", "smbios_firmware", "ms_vm_genid", "mmio_hole",
        "gic_version", "vuart", "sched", "xenstore_quota", "hidden", "tee",
    };
}
