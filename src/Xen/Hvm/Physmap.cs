using Dbt.Translator.Memory;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Hvm;

/// <summary>
/// The guest-physical address space of an auto-translated domain (Xen's p2m): which machine frame each guest frame number (GFN) is. It is
/// changed under the domain's page-table lock and read by any thread without one; what a processor may have looked up meanwhile is kept
/// alive until it has passed a safe point (<see cref="GracePeriod"/>).
/// </summary>
internal sealed unsafe class Physmap : IDisposable
{
    /// <summary>GFNs that an address can name: 36 bits of physical address.</summary>
    public const uint Count = 1u << 24;

    private readonly Domain _domain;
    private uint* _frames;
    private uint _highest;

    public Physmap(Domain domain)
    {
        _domain = domain;
        _frames = (uint*)HostMemory.Reserve((nuint)Count * sizeof(uint));
    }

    /// <summary>The highest GFN that ever had a frame (XENMEM_maximum_gpfn).</summary>
    public uint Highest => Volatile.Read(ref _highest);

    /// <summary>The machine frame of a GFN; 0 where there is none. Any thread.</summary>
    public uint this[ulong gfn] => gfn < Count ? Volatile.Read(ref _frames[gfn]) : 0;

    /// <summary>Puts a frame of the domain's at a GFN that has none.</summary>
    public void Set(uint gfn, uint mfn)
    {
        Volatile.Write(ref _frames[gfn], mfn);
        _highest = Math.Max(_highest, gfn);
        _domain.Hypervisor.MachineToPhys[mfn] = gfn;
        _domain.Hypervisor.Frames.MarkWritten(mfn);
    }

    /// <summary>Takes the frame away from a GFN. The caller then calls <see cref="DomainMemory.PhysmapChanged"/>.</summary>
    /// <returns>The frame, 0 where there was none.</returns>
    public uint Clear(uint gfn)
    {
        uint mfn = this[gfn];
        if (mfn != 0)
        {
            Volatile.Write(ref _frames[gfn], 0);
            _domain.Hypervisor.MachineToPhys[mfn] = uint.MaxValue;
        }

        return mfn;
    }

    /// <summary>The GFN at which a frame of the domain's is; <see cref="uint.MaxValue"/> where it is at none.</summary>
    public uint GfnOf(uint mfn)
    {
        uint gfn = _domain.Hypervisor.MachineToPhys[mfn];
        return this[gfn] == mfn ? gfn : uint.MaxValue;
    }

    public void Dispose()
    {
        if (_frames != null)
        {
            HostMemory.Release((byte*)_frames, (nuint)Count * sizeof(uint));
            _frames = null;
        }
    }
}
