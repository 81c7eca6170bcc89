using Dbt.Devices;
using Dbt.Devices.Block;
using Dbt.Xen.Builder;
using Dbt.Xen.Events;
using Dbt.Xen.Grants;
using Dbt.Xen.Scheduling;

namespace Dbt.Cli.Config;

/// <summary>Reads a guest's settings out of a configuration file, checking each.</summary>
internal sealed class GuestConfigReader
{
    // xenstore's, the console's, and a timer for one processor.
    private const int LeastEventChannels = 3;

    private readonly ConfigFile _file;
    private readonly string _here, _folder;
    private readonly string _defaultName;
    private readonly bool _disksAreHeld, _restores;
    private readonly List<string> _warnings = [];

    private GuestConfigReader(ConfigFile file, string here, string folder, string defaultName, bool disksAreHeld, bool restores)
    {
        _disksAreHeld = disksAreHeld;
        _restores = restores;
        _file = file;
        _here = here;
        _folder = folder;
        _defaultName = defaultName;
    }

    /// <summary>Reads a file and what the command line says beside it.</summary>
    /// <param name="path">The file; null for a guest that is described by <paramref name="overrides"/> alone.</param>
    /// <param name="overrides">key=value.</param>
    /// <exception cref="ConfigException">The file can't be read, or says what can't be done.</exception>
    public static GuestConfig Read(string? path, IEnumerable<string> overrides) => Read(path, path is null ? "" : ReadText(path), overrides);

    /// <summary>Reads a file's text and what the command line says beside it.</summary>
    /// <param name="path">What the file is called, and where paths are looked for; null for a guest that is described by <paramref name="overrides"/> alone.</param>
    /// <param name="text">What is in it.</param>
    /// <param name="overrides">key=value.</param>
    /// <param name="here">Where paths are looked for first; the process's working folder where it isn't given.</param>
    /// <param name="disksAreHeld">Who has the guest still has its disks: they are looked at when they are opened.</param>
    /// <param name="restores">For a guest that was saved: its kernel need not be there, nor its images, of which it is told later.</param>
    /// <exception cref="ConfigException">It says what can't be done.</exception>
    public static GuestConfig Read(string? path, string text, IEnumerable<string> overrides, string here = "", bool disksAreHeld = false, bool restores = false)
    {
        ConfigFile file = path is null ? new ConfigFile() : ConfigFile.Parse(path, text);
        foreach (string setting in overrides)
        {
            file.Override(setting);
        }

        string folder = path is null ? here : Path.GetDirectoryName(Path.GetFullPath(Path.Combine(here, path))) ?? ".";
        return new GuestConfigReader(file, here, folder, path is null ? "dbt-guest" : Path.GetFileNameWithoutExtension(path), disksAreHeld, restores).Read(needsKernel: path is not null) with
        {
            Origin = new ConfigOrigin(file.ToText(), path is null ? null : Path.GetFullPath(Path.Combine(here, path)), Path.GetFullPath(here.Length == 0 ? "." : here)),
        };
    }

    /// <summary>Reads settings that come from no file, and what the command line says beside them.</summary>
    /// <param name="settings">They are changed by what the command line says.</param>
    /// <param name="overrides">key=value.</param>
    /// <param name="here">Where paths are looked for; the process's working folder where it isn't given.</param>
    /// <param name="needsKernel">Whether one has to be named; otherwise it is the guest that is built in.</param>
    /// <param name="disksAreHeld">Who has the guest still has its disks: they are looked at when they are opened.</param>
    /// <param name="restores">For a guest that was saved: its kernel need not be there, nor its images, of which it is told later.</param>
    /// <exception cref="ConfigException">They say what can't be done.</exception>
    public static GuestConfig ReadSettings(
        ConfigFile settings, IEnumerable<string> overrides, string here = "", bool needsKernel = true, bool disksAreHeld = false, bool restores = false)
    {
        foreach (string setting in overrides)
        {
            settings.Override(setting);
        }

        return new GuestConfigReader(settings, here, here, "guest", disksAreHeld, restores).Read(needsKernel) with
        {
            Origin = new ConfigOrigin(settings.ToText(), null, Path.GetFullPath(here.Length == 0 ? "." : here)),
        };
    }

    /// <summary>A configuration file's text.</summary>
    /// <exception cref="ConfigException">It can't be read.</exception>
    public static string ReadText(string path)
    {
        try
        {
            const long mostBytes = 16 << 20;
            return new FileInfo(path).Length <= mostBytes ? File.ReadAllText(path) : throw new ConfigException($"{path}: too large for a configuration file");
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new ConfigException(Directory.Exists(path) ? $"{path}: is a folder, not a configuration file" : $"{path}: no such file");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ConfigException($"{path}: can't be read: {exception.Message}");
        }
    }

    private GuestConfig Read(bool needsKernel)
    {
        WarnOfKeys();
        GuestType type = ReadType();
        int memory = Number("memory", BuildRequest.LeastMemoryMiB, BuildRequest.MostMemoryMiB) ?? GuestConfig.DefaultMemoryMiB;
        int maxMemory = Number("maxmem", BuildRequest.LeastMemoryMiB, BuildRequest.MostMemoryMiB) ?? memory;
        if (maxMemory < memory)
        {
            throw Error("maxmem", $"maxmem={maxMemory} is less than memory={memory}");
        }

        int vcpus = Number("vcpus", 1, BuildRequest.MostVcpus) ?? Number("maxvcpus", 1, BuildRequest.MostVcpus) ?? 1;
        int maxVcpus = Number("maxvcpus", 1, BuildRequest.MostVcpus) ?? vcpus;
        if (maxVcpus < vcpus)
        {
            throw Error("maxvcpus", $"maxvcpus={maxVcpus} is less than vcpus={vcpus}");
        }

        string? kernel = Text("kernel");
        if (needsKernel && string.IsNullOrEmpty(kernel))
        {
            throw new ConfigException(_file["bootloader"] is null
                ? "the configuration names no kernel (kernel=\"PATH\")"
                : "bootloader= is not supported yet; name the kernel itself (kernel=\"PATH\")");
        }

        string name = CheckedName(Text("name") ?? _defaultName);
        Guid? uuid = Uuid();
        return new GuestConfig
        {
            Name = name,
            Uuid = uuid,
            Type = type,
            MemoryMiB = memory,
            MaxMemoryMiB = maxMemory,
            Vcpus = maxVcpus,
            OnlineVcpus = vcpus,
            KernelPath = string.IsNullOrEmpty(kernel) ? null : Existing("kernel", kernel),
            RamdiskPath = Text("ramdisk") is { Length: > 0 } ramdisk ? Existing("ramdisk", ramdisk) : null,
            CommandLine = CommandLine(),
            Disks = Disks(),
            Networks = _file["vif"] is ConfigValue vif ? VifSpecification.Parse(vif, name, uuid, _warnings.Add) : [],
            Actions = Actions(),
            CpuShare = (
                Number("cpu_weight", 1, CpuShare.MostWeight) ?? CpuShare.DefaultWeight,
                Number("cap", 0, maxVcpus * CpuShare.MostCapPerProcessor) ?? 0),
            TickSlack = Number("tick_slack", 0, GuestConfig.MostTickSlack) ?? GuestConfig.DefaultTickSlack,
            MaxEventChannels = Number("max_event_channels", LeastEventChannels, EventChannels.MostHighestPort) ?? EventChannels.DefaultHighestPort,
            GrantLimits = (
                Number("max_grant_frames", 1, GrantTable.MaxFrames) ?? GrantTable.MaxFrames,
                Number("max_maptrack_frames", 0, GrantTable.MaxMapFrames) ?? GrantTable.MaxMapFrames,
                Number("max_grant_version", 1, 2) ?? 2),
            KeepsCode = Number("code_cache", 0, 1) != 0,
            Cpuid = _file["cpuid"] is ConfigValue cpuid ? CpuidSpecification.Parse(cpuid, _warnings.Add) : [],
            Warnings = _warnings,
        };
    }

    private void WarnOfKeys()
    {
        foreach (string key in _file.Keys)
        {
            if (ConfigKeys.Used.Contains(key) || _file[key] is ConfigList { Items.Count: 0 })
            {
                continue;
            }

            string place = _file[key]!.Position.ToString();
            _warnings.Add(ConfigKeys.NotYet.Contains(key) ? $"{place}: {key} is not supported yet and has no effect"
                : ConfigKeys.Meaningless.Contains(key) ? $"{place}: {key} means nothing here and has no effect"
                : $"{place}: unknown key {key} has no effect");
        }
    }

    private GuestType ReadType()
    {
        string? builder = Text("builder");
        string type = Text("type") ?? (builder == "hvm" ? "hvm" : builder is null ? "" : "pv");
        switch (type)
        {
            case "":
                return GuestType.ByKernel;
            case "pv" or "generic" or "linux":
                return GuestType.Pv;
            case "pvh":
                return GuestType.Pvh;
            case "hvm":
                throw Error(_file["type"] is null ? "builder" : "type", "fully virtualised guests (hvm) are not supported, nor will be; only PV and PVH guests run");
            default:
                throw Error("type", $"type=\"{type}\" is neither pv nor pvh");
        }
    }

    /// <summary>Whether a guest can be named so.</summary>
    public static bool IsName(string name) => name.Length > 0 && !name.Any(c => char.IsControl(c) || c == '/');

    private string CheckedName(string name) => IsName(name) ? name : throw Error("name", $"name=\"{name}\" is not a name");

    private Guid? Uuid() => Text("uuid") is not string text ? null
        : Guid.TryParse(text, out Guid uuid) ? uuid
        : throw Error("uuid", $"uuid=\"{text}\" is not a UUID");

    private string CommandLine()
    {
        string? whole = Text("cmdline"), root = Text("root"), extra = Extra();
        if (whole is not null)
        {
            if (root is not null || extra is not null)
            {
                _warnings.Add($"{(_file["root"] ?? _file["extra"])!.Position}: root and extra have no effect beside cmdline");
            }

            return whole;
        }

        return string.Join(' ', new[] { root is null ? null : $"root={root}", extra }.Where(part => !string.IsNullOrEmpty(part)));
    }

    private string? Extra() => _file["extra"] is ConfigList list ? string.Join(' ', list.Items.Select(item => TextOf("extra", item))) : Text("extra");

    private List<DiskConfiguration> Disks()
    {
        var disks = new List<DiskConfiguration>();
        if (_file["disk"] is not ConfigValue value)
        {
            return disks;
        }

        if (value is not ConfigList list)
        {
            throw Error("disk", "disk must be a list: disk = [ \"PATH,raw,xvda,rw\" ]");
        }

        foreach (ConfigValue item in list.Items)
        {
            ConfigString element = item as ConfigString ?? throw new ConfigException(item.Position, "disk: each element must be a string");
            DiskConfiguration disk = DiskSpecification.Parse(element);
            disk = disk.Backend is null ? disk with { Path = Resolve(disk.Path) } : disk;
            CheckDisk(element.Position, disk, disks);
            disks.Add(disk);
        }

        return disks;
    }

    private void CheckDisk(ConfigPosition position, DiskConfiguration disk, List<DiskConfiguration> others)
    {
        if (_restores)
        {
            return;
        }

        if (disk.Backend is null && !File.Exists(disk.Path))
        {
            throw new ConfigException(position, Directory.Exists(disk.Path)
                ? $"disk image {disk.Path} is a folder; make an image of it with: dbt disk create IMAGE --from {disk.Path}"
                : $"disk image {disk.Path}: no such file");
        }

        if (others.Find(other => other.Device.Number == disk.Device.Number) is not null)
        {
            throw new ConfigException(position, $"disk {disk.Device.Name} is named twice");
        }

        if (disk.Backend is not null)
        {
            return;
        }

        string canonical = Canonical(disk.Path);
        DiskConfiguration? same = others.Find(other => other.Backend is null && Canonical(other.Path) == canonical);
        if (same is not null && !(same.ReadOnly && disk.ReadOnly))
        {
            throw new ConfigException(position, $"disk image {disk.Path} is named twice, as {same.Device.Name} and {disk.Device.Name}; it can be shared only if both are read-only");
        }

        if (!_disksAreHeld)
        {
            CheckAccess(position, disk);
        }
    }

    private void CheckAccess(ConfigPosition position, DiskConfiguration disk)
    {
        try
        {
            using var stream = new FileStream(disk.Path, FileMode.Open, disk.ReadOnly ? FileAccess.Read : FileAccess.ReadWrite, FileShare.ReadWrite);
            CheckFormat(position, disk, ImageFormat.Recognize(stream.SafeFileHandle));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ConfigException(position, disk.ReadOnly
                ? $"disk image {disk.Path} can't be read: {exception.Message}"
                : $"disk image {disk.Path} can't be written (access ro would only read it): {exception.Message}");
        }
    }

    // A person who says raw may mean it: a guest's disk may hold anything.
    private void CheckFormat(ConfigPosition position, DiskConfiguration disk, string? format)
    {
        if (format is null)
        {
            return;
        }

        string advice = ImageFormat.Advice(disk.Path, format);
        if (!disk.IsSurelyRaw)
        {
            throw new ConfigException(position, advice);
        }

        _warnings.Add($"{position}: {advice}. As raw was asked for, its bytes are taken for the disk");
    }

    private static string Canonical(string path)
    {
        string full = Path.GetFullPath(path);
        return new FileInfo(full).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? full;
    }

    private ShutdownActions Actions()
    {
        var defaults = new ShutdownActions();
        return new ShutdownActions
        {
            Poweroff = Action("on_poweroff", defaults.Poweroff),
            Reboot = Action("on_reboot", defaults.Reboot),
            Crash = Action("on_crash", defaults.Crash),
            Watchdog = Action("on_watchdog", defaults.Watchdog),
            SoftReset = Action("on_soft_reset", defaults.SoftReset),
        };
    }

    private ShutdownAction Action(string key, ShutdownAction whenAbsent)
    {
        if (Text(key) is not string word)
        {
            return whenAbsent;
        }

        ShutdownAction action = ShutdownActions.Parse(word)
            ?? throw Error(key, $"{key}=\"{word}\" is not one of destroy, restart, rename-restart, preserve, coredump-destroy, coredump-restart, soft-reset");
        return action switch
        {
            ShutdownAction.SoftReset when key != "on_soft_reset" => throw Error(key, $"{key}=\"soft-reset\" is not supported; use \"restart\""),
            _ => action,
        };
    }

    /// <summary>A file named by the configuration: as it stands, or from the configuration's folder.</summary>
    private string Resolve(string path)
    {
        if (Packages.PackageReference.TryParse(path, out Packages.PackageReference? reference))
        {
            return Packages.PackageCache.Default.Obtain(reference);
        }

        string here = Path.Combine(_here, path), beside = Path.Combine(_folder, path);
        return !File.Exists(here) && File.Exists(beside) ? beside : here;
    }

    private string Existing(string key, string path)
    {
        string resolved = Resolve(path);
        return File.Exists(resolved) || _restores ? resolved
            : throw Error(key, Directory.Exists(resolved) ? $"{key} {path} is a folder" : $"{key} {path}: no such file");
    }

    private string? Text(string key) => _file[key] is ConfigValue value ? TextOf(key, value) : null;

    private static string TextOf(string key, ConfigValue value) => value switch
    {
        ConfigString text => text.Text,
        ConfigNumber number => number.Value.ToString(System.Globalization.CultureInfo.InvariantCulture),
        _ => throw new ConfigException(value.Position, $"{key} must be a string"),
    };

    private int? Number(string key, int least, int most)
    {
        long? number = _file[key] switch
        {
            null => null,
            ConfigNumber value => value.Value,
            ConfigString text when long.TryParse(text.Text, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out long value) => value,
            _ => throw Error(key, $"{key} must be a number"),
        };
        return number is null || (number >= least && number <= most) ? (int?)number : throw Error(key, $"{key}={number} is outside {least} to {most}");
    }

    private ConfigException Error(string key, string message) =>
        _file[key] is ConfigValue value ? new ConfigException(value.Position, message) : new ConfigException(message);
}
