using System.CommandLine;

namespace Dbt.Cli.Commands;

/// <summary>The commands of xl that don't exist here: each says so and why, instead of being unknown.</summary>
internal static class UnsupportedCommands
{
    private const string NotYet = "it is not there yet";
    private const string NoSave = "guests are moved by dbt migrate, dbt save and dbt restore alone";
    private const string NoChange = "that can't be changed yet while a guest runs; set it in the configuration file";
    private const string NoHost = "this hypervisor is an ordinary process and owns neither processors, pools nor devices of the host";

    private static readonly (string Reason, string[] Names)[] All =
    [
        (NotYet, ["vncviewer", "debug-keys", "trigger", "sysrq", "config-update", "claims"]),
        (NoSave, ["migrate-receive", "suspend", "resume", "remus"]),
        (NoChange, ["vcpu-pin", "channel-list", "cd-insert", "cd-eject", "vkb-list", "vkb-attach", "vkb-detach"]),
        (NoHost, ["sched-rtds", "cpupool-create", "cpupool-destroy", "cpupool-list", "cpupool-rename", "cpupool-cpu-add",
            "cpupool-cpu-remove", "cpupool-migrate", "cpupool-numa-split", "pci-attach", "pci-detach", "pci-list", "pci-assignable-add",
            "pci-assignable-remove", "pci-assignable-list", "usbctrl-attach", "usbctrl-detach", "usbdev-attach", "usbdev-detach", "usb-list",
            "vtpm-list", "vtpm-attach", "vtpm-detach", "tmem-list", "psr-hwinfo", "psr-cmt-attach", "psr-cmt-detach", "psr-cmt-show", "psr-cat-set",
            "psr-cat-show", "psr-mba-set", "psr-mba-show", "getenforce", "setenforce", "loadpolicy", "devd", "set-parameters", "qemu-monitor-command"]),
    ];

    /// <summary>Makes them, hidden from the help.</summary>
    public static IEnumerable<Command> Create()
    {
        foreach ((string reason, string[] names) in All)
        {
            foreach (string name in names)
            {
                var command = new Command(name) { Hidden = true, TreatUnmatchedTokensAsErrors = false };
                command.SetAction(_ =>
                {
                    Console.Error.WriteLine($"dbt: {name} is not supported: {reason}");
                    return ExitStatus.Failure;
                });
                yield return command;
            }
        }
    }
}
