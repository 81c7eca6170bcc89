using System.Text;
using Dbt.Xen.Abi;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Hypercalls;

/// <summary>HYPERVISOR_xen_version (public/version.h): which hypervisor this is, as seen by a guest that was written for Xen 4.17.</summary>
public static class XenVersion
{
    /// <summary>Major version in the high half, minor in the low.</summary>
    public const int Version = (4 << 16) | 17;

    /// <summary>What follows the version.</summary>
    public const string Extra = ".0-dbt";

    /// <summary>Kinds of guests, each followed by a space.</summary>
    public const string CapabilityNames = "xen-3.0-x86_32p hvm-3.0-x86_32 hvm-3.0-x86_32p ";

    /// <summary>The source's revision.</summary>
    public const string ChangesetName = "unavailable";

    /// <summary>What it was compiled with.</summary>
    public const string Compiler = "RyuJIT, .NET";

    /// <summary>Who compiled it.</summary>
    public const string CompiledBy = "dbt";

    /// <summary>Where it was compiled.</summary>
    public const string CompileDomain = "localdomain";

    /// <summary>When it was compiled: the same for all, as it tells nobody anything.</summary>
    public const string CompileDate = "Thu Jan  1 00:00:00 UTC 1970";

    private const uint GetVersion = 0, ExtraVersion = 1, CompileInfo = 2, Capabilities = 3, Changeset = 4, PlatformParameters = 5,
        GetFeatures = 6, PageSize = 7, GuestHandle = 8, CommandLine = 9, BuildId = 10;

    private const int PaeExtendedCr3Assist = 3;

    // Feature bits of public/features.h.
    private const uint PaeDirectoryAbove4Gb = 1 << 4, PreserveAccessedDirty = 1 << 5, HighMemoryAssist = 1 << 6,
        GrantMapAvailableBits = 1 << 7, WritablePageTables = 1, AutoTranslated = 1 << 2, HvmCallbackVector = 1 << 8, HvmSafeClock = 1 << 9,
        NotDirectMapped = 1 << 16, MemoryOpVnode = 1 << 13, DirectMapped = 1 << 17;

    private static ReadOnlySpan<byte> Build => "dbt-4.17-pv-i386-001"u8;

    /// <summary>EBX command, ECX pointer to its structure.</summary>
    internal static int Call(Vcpu vcpu, in HypercallArguments arguments)
    {
        uint at = arguments.A2;
        switch (arguments.A1)
        {
            case GetVersion:
                return Version;
            case ExtraVersion:
                return WriteText(vcpu, at, 16, Extra);
            case CompileInfo:
                int error = WriteText(vcpu, at, 64, Compiler);
                error = error != 0 ? error : WriteText(vcpu, at + 64, 16, CompiledBy);
                error = error != 0 ? error : WriteText(vcpu, at + 80, 32, CompileDomain);
                return error != 0 ? error : WriteText(vcpu, at + 112, 32, CompileDate);
            case Capabilities:
                return WriteText(vcpu, at, 1024, CapabilityNames);
            case Changeset:
                return WriteText(vcpu, at, 64, ChangesetName);
            case PlatformParameters:
                return GuestAccess.TryWrite(vcpu, at, Layout.HypervisorStart) ? 0 : -Errno.EFAULT;
            case GetFeatures:
                return Features(vcpu, at);
            case PageSize:
                return at == 0 ? Layout.PageSize : -Errno.EINVAL;
            case GuestHandle:
                return GuestAccess.TryWrite(vcpu, at, vcpu.Domain.Uuid.ToByteArray(true)) ? 0 : -Errno.EFAULT;
            case CommandLine:
                return WriteText(vcpu, at, 1024, "");
            case BuildId:
                return WriteBuildId(vcpu, at);
            default:
                return -Errno.ENOSYS;
        }
    }

    private static int Features(Vcpu vcpu, uint at)
    {
        if (!GuestAccess.TryRead(vcpu, at, out uint map))
        {
            return -Errno.EFAULT;
        }

        if (map != 0)
        {
            return -Errno.EINVAL;
        }

        if (vcpu.Domain.Hvm is not null)
        {
            const uint translated = WritablePageTables | AutoTranslated | HvmCallbackVector | HvmSafeClock | MemoryOpVnode | NotDirectMapped;
            return GuestAccess.TryWrite(vcpu, at + 4, translated) ? 0 : -Errno.EFAULT;
        }

        uint features = MemoryOpVnode | PreserveAccessedDirty | HighMemoryAssist | GrantMapAvailableBits | DirectMapped;
        if ((vcpu.Domain.VmAssist & (1u << PaeExtendedCr3Assist)) != 0)
        {
            features |= PaeDirectoryAbove4Gb;
        }

        return GuestAccess.TryWrite(vcpu, at + 4, features) ? 0 : -Errno.EFAULT;
    }

    private static int WriteBuildId(Vcpu vcpu, uint at)
    {
        if (at == 0)
        {
            return Build.Length;
        }

        if (!GuestAccess.TryRead(vcpu, at, out uint room))
        {
            return -Errno.EFAULT;
        }

        if (room == 0)
        {
            return -Errno.EINVAL;
        }

        return room < Build.Length ? -Errno.ENOBUFS : GuestAccess.TryWrite(vcpu, at + 4, Build) ? Build.Length : -Errno.EFAULT;
    }

    /// <summary>Writes a whole field, the text and zeroes behind it: nothing else of ours is in the reply (XSA-122).</summary>
    private static int WriteText(Vcpu vcpu, uint at, int size, string text)
    {
        Span<byte> field = stackalloc byte[size];
        field.Clear();
        Encoding.ASCII.GetBytes(text, field[..^1]);
        return GuestAccess.TryWrite(vcpu, at, field) ? 0 : -Errno.EFAULT;
    }
}
