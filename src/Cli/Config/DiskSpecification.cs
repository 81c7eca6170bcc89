using Dbt.Devices;
using Dbt.Devices.Block;

namespace Dbt.Cli.Config;

/// <summary>
/// One element of disk= (Xen's xl-disk-configuration): target, format, vdev, access by position, mixed with key=value, in any order of the
/// latter; "target=" takes the rest of the line. The older "file:PATH,VDEV,ACCESS" has no format. Not xl's are sector-size=512|4096 and
/// persistent-grants=0|1. backend=DOMAIN has another guest serve the disk: the target is then what that guest knows it by.
/// </summary>
internal sealed class DiskSpecification
{
    private static readonly string[] RawPrefixes = ["file:", "phy:", "raw:", "aio:", "tap:aio:", "tap:", "tap2:aio:", "tap2:"];
    private static readonly string[] OtherFormats = ["qcow", "qcow2", "vhd", "vhdx", "qed"];
    private static readonly string[] IgnoredKeys = ["backendtype", "script", "direct-io-safe", "colo"];

    private readonly ConfigPosition _position;
    private string? _target, _format, _vdev, _access, _backend;
    private bool _prefixed, _cdrom, _discard = true, _persistent = true;
    private int? _sectorSize;

    private DiskSpecification(ConfigPosition position) => _position = position;

    /// <summary>Parses one element.</summary>
    /// <exception cref="ConfigException">It doesn't name a disk that can be had here.</exception>
    public static DiskConfiguration Parse(ConfigString element)
    {
        var disk = new DiskSpecification(element.Position);
        string rest = element.Text.Trim();
        while (rest.Length > 0)
        {
            if (rest.StartsWith("target=", StringComparison.Ordinal))
            {
                disk.SetOnce(ref disk._target, "target", rest["target=".Length..].Trim());
                break;
            }

            int comma = rest.IndexOf(',', StringComparison.Ordinal);
            disk.Take(comma < 0 ? rest : rest[..comma].TrimEnd());
            if (comma < 0)
            {
                break;
            }

            rest = rest[(comma + 1)..].TrimStart();
        }

        return disk.Finish();
    }

    private void Take(string word)
    {
        int equals = word.IndexOf('=', StringComparison.Ordinal);
        string key = equals < 0 ? word : word[..equals].TrimEnd();
        string value = equals < 0 ? "" : word[(equals + 1)..].TrimStart();
        switch (key)
        {
            case "format" when equals >= 0:
                SetOnce(ref _format, "format", value);
                break;
            case "vdev" when equals >= 0:
                SetVdev(value);
                break;
            case "access" when equals >= 0:
                SetOnce(ref _access, "access", value);
                break;
            case "devtype" when equals >= 0:
                _cdrom = value switch
                {
                    "cdrom" => true,
                    "disk" => false,
                    _ => throw Error($"devtype={value} is neither disk nor cdrom"),
                };
                break;
            case "backend" when equals >= 0:
                SetOnce(ref _backend, "backend", value);
                break;
            case "discard" or "no-discard" when equals < 0:
                _discard = key == "discard";
                break;
            case "sector-size" when equals >= 0:
                _sectorSize = value switch
                {
                    "512" => 512,
                    "4096" => 4096,
                    _ => throw Error($"sector-size={value} is neither 512 nor 4096"),
                };
                break;
            case "persistent-grants" when equals >= 0:
                _persistent = value switch
                {
                    "1" => true,
                    "0" => false,
                    _ => throw Error($"persistent-grants={value} is neither 0 nor 1"),
                };
                break;
            case "cdrom" when equals < 0:
                _cdrom = true;
                break;
            default:
                if (IgnoredKeys.Contains(key))
                {
                    break; // how the host would reach the image; here it is a file
                }

                if (equals >= 0 && _target is not null)
                {
                    throw Error($"unknown disk setting {key}");
                }

                TakePositional(word);
                break;
        }
    }

    private void TakePositional(string word)
    {
        if (_target is null)
        {
            string? prefix = RawPrefixes.FirstOrDefault(p => word.StartsWith(p, StringComparison.Ordinal));
            string? other = OtherFormats.FirstOrDefault(f => word.StartsWith(f + ":", StringComparison.Ordinal));
            _prefixed = prefix is not null || other is not null;
            _format = other ?? _format;
            _target = word[(prefix?.Length ?? (other is null ? 0 : other.Length + 1))..];
        }
        else if (!_prefixed && _format is null)
        {
            _format = word;
        }
        else if (_vdev is null)
        {
            SetVdev(word);
        }
        else if (_access is null)
        {
            _access = word;
        }
        else
        {
            throw Error($"'{word}' is one setting too many; a disk is target,format,vdev,access");
        }
    }

    private void SetVdev(string value)
    {
        const string cdromSuffix = ":cdrom";
        if (value.EndsWith(cdromSuffix, StringComparison.Ordinal))
        {
            _cdrom = true;
            value = value[..^cdromSuffix.Length];
        }

        SetOnce(ref _vdev, "vdev", value);
    }

    private void SetOnce(ref string? setting, string name, string value) =>
        setting = setting is null ? value : throw Error($"{name} is given twice");

    private DiskConfiguration Finish()
    {
        if (string.IsNullOrEmpty(_target))
        {
            throw Error(_cdrom ? "an empty CD-ROM drive is not supported; name an image" : "the disk has no target (the image's path)");
        }

        if (_format is not (null or "" or "raw"))
        {
            throw Error($"format {_format} is not supported, only raw; convert the image with: qemu-img convert -O raw {_target} {_target}.raw");
        }

        if (string.IsNullOrEmpty(_vdev))
        {
            throw Error("the disk has no vdev (what the guest sees, for instance xvda)");
        }

        if (!VirtualDevice.TryParse(_vdev, out VirtualDevice device))
        {
            throw Error($"'{_vdev}' is not a virtual disk: xvda, hda, sda and so on, with a partition number where wanted");
        }

        bool readOnly = _access switch
        {
            "r" or "ro" => true,
            null or "" => _cdrom,
            "w" or "rw" => _cdrom,
            _ => throw Error($"access {_access} is neither ro nor rw"),
        };
        return new DiskConfiguration(_target, device, readOnly, _cdrom ? DiskType.Cdrom : DiskType.Disk)
        {
            SectorSize = _sectorSize,
            Discard = _discard,
            IsSurelyRaw = _format == "raw",
            PersistentGrants = _persistent,
            Backend = _backend is null or "" or "0" or "Domain-0" ? null : _backend,
        };
    }

    private ConfigException Error(string message) => new(_position, $"disk: {message}");
}
