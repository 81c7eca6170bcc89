using Dbt.Xen.Abi;

namespace Dbt.Xen.Snapshot;

/// <summary>
/// A page of the hypervisor's that the guest shares (shared_info, the grant table's): by which number the guest knows it, and its contents. No
/// dirty log has these, so they are part of the state.
/// </summary>
internal static unsafe class HypervisorPage
{
    /// <summary>In the place of a guest frame: it is at none.</summary>
    public const uint Nowhere = uint.MaxValue;

    /// <summary>Writes one.</summary>
    public static void Write(SectionWriter writer, Domain domain, uint mfn)
    {
        writer.UInt32(domain.GuestFrameOf(mfn));
        writer.Bytes(new ReadOnlySpan<byte>(domain.Hypervisor.Machine.Frame(mfn), Layout.PageSize));
    }

    /// <summary>Makes one as it was: in a paravirtual domain of the same machine frame, in an auto-translated one at the same guest frame.</summary>
    /// <returns>Its machine frame.</returns>
    /// <exception cref="SnapshotException">It can't be had.</exception>
    public static uint Read(SectionReader reader, Domain domain)
    {
        uint number = reader.UInt32();
        ReadOnlySpan<byte> contents = reader.Bytes(Layout.PageSize);
        uint mfn;
        if (domain.IsTranslated)
        {
            if (!domain.Memory.TryAllocateHypervisorPage(out mfn, guestWritable: true))
            {
                throw new SnapshotException("the machine has no memory left for the guest");
            }

            if (number != Nowhere && domain.Memory.PlaceInPhysmap(mfn, number) != 0)
            {
                throw reader.Error($"there is no guest frame {number:x}");
            }
        }
        else if (!domain.Memory.TryAllocateHypervisorPageAt(mfn = number))
        {
            throw reader.Error($"machine frame {number:x} isn't free here, and a paravirtual guest knows its frames by number");
        }

        contents.CopyTo(new Span<byte>(domain.Hypervisor.Machine.Frame(mfn), Layout.PageSize));
        return mfn;
    }
}
