using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Dbt.Cli.Config;
using Dbt.Devices;
using Dbt.Xen;

namespace Dbt.Cli.Control;

/// <summary>A domain as <c>xl list -l</c> shows it: libxl's domain configuration, of which what has a meaning here.</summary>
internal static class DomainJson
{
    private static readonly JsonSerializerOptions Format = new() { WriteIndented = true, IndentSize = 4, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>An array of what <see cref="Write"/> gave.</summary>
    public static string Join(IEnumerable<string> domains) =>
        new JsonArray([.. domains.Select(static domain => JsonNode.Parse(domain))]).ToJsonString(Format);

    /// <summary>One domain, as it is now.</summary>
    public static string Write(GuestConfig config, Domain domain, DeviceHost devices, uint id, ulong maximumKib) => new JsonObject
    {
        ["domid"] = id,
        ["config"] = new JsonObject
        {
            ["c_info"] = new JsonObject
            {
                ["type"] = domain.IsTranslated ? "pvh" : "pv",
                ["name"] = domain.Name,
                ["uuid"] = domain.Uuid.ToString(),
            },
            ["b_info"] = BuildInformation(config, domain, devices, maximumKib),
            ["disks"] = new JsonArray([.. devices.Disks.Select(Disk)]),
            ["nics"] = new JsonArray([.. devices.Networks.Select(static card => new JsonObject
            {
                ["devid"] = card.Card.Handle,
                ["mac"] = card.Card.Mac.ToString(),
                ["bridge"] = card.Card.Bridge,
            })]),
            ["on_poweroff"] = ShutdownActions.Word(config.Actions.Poweroff),
            ["on_reboot"] = ShutdownActions.Word(config.Actions.Reboot),
            ["on_watchdog"] = ShutdownActions.Word(config.Actions.Watchdog),
            ["on_crash"] = ShutdownActions.Word(config.Actions.Crash),
            ["on_soft_reset"] = ShutdownActions.Word(config.Actions.SoftReset),
        },
    }.ToJsonString(Format);

    private static JsonObject BuildInformation(GuestConfig config, Domain domain, DeviceHost devices, ulong maximumKib)
    {
        var information = new JsonObject
        {
            ["max_vcpus"] = domain.Vcpus.Count,
            ["avail_vcpus"] = new JsonArray([.. Enumerable.Range(0, domain.Vcpus.Count)
                .Where(cpu => devices.Store.Read(FormattableString.Invariant($"{devices.Home}/cpu/{cpu}/availability")) != "offline").Select(static cpu => (JsonNode)cpu)]),
            ["max_memkb"] = maximumKib,
            ["target_memkb"] = ulong.TryParse(devices.Store.Read(devices.Home + "/memory/target"), out ulong target) ? target : 0,
        };
        information["sched_params"] = new JsonObject { ["sched"] = "credit", ["weight"] = domain.Share.Weight, ["cap"] = domain.Share.Cap };
        if (config.KernelPath is string kernel)
        {
            information["kernel"] = Path.GetFullPath(kernel);
        }

        if (config.RamdiskPath is string ramdisk)
        {
            information["ramdisk"] = Path.GetFullPath(ramdisk);
        }

        if (config.CommandLine.Length > 0)
        {
            information["cmdline"] = config.CommandLine;
        }

        information[domain.IsTranslated ? "type.pvh" : "type.pv"] = new JsonObject();
        return information;
    }

    private static JsonObject Disk(DiskStatus disk) => new()
    {
        ["pdev_path"] = Path.GetFullPath(disk.Configuration.Path),
        ["vdev"] = disk.Configuration.Device.Name,
        ["format"] = "raw",
        ["removable"] = disk.Configuration.Type == DiskType.Cdrom ? 1 : 0,
        ["readwrite"] = disk.Configuration.ReadOnly ? 0 : 1,
        ["is_cdrom"] = disk.Configuration.Type == DiskType.Cdrom ? 1 : 0,
    };
}
