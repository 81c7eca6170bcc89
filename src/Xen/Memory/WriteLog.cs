using Dbt.Translator.Memory;

namespace Dbt.Xen.Memory;

/// <summary>
/// Tells which frames of a domain were written, while it runs: what a live migration copies again. It costs the guest a look into its page
/// tables at the first write to each page behind every <see cref="Take"/>, and nothing when it isn't there.
/// </summary>
/// <remarks>
/// Writers are: processors, by write entries of software TLBs, which are filled after the frame was marked; page walks that set accessed and
/// dirty bits; hypercalls and page-table updates; back ends; other domains that have mapped a grant. What the hypervisor writes all the time,
/// without telling, is in <see cref="TakeLast"/>: shared_info, grant tables, vcpu_info where the guest put it.
/// </remarks>
public sealed class WriteLog : IDisposable
{
    private readonly Domain _domain;
    private readonly Hypervisor _hypervisor;
    private readonly DirtyLog _log;
    private bool _disposed;

    /// <summary>Begins. What was written before the constructor returned may be told as well.</summary>
    public WriteLog(Domain domain)
    {
        _domain = domain;
        _hypervisor = domain.Hypervisor;
        _log = _hypervisor.Machine.CodeMap.Dirty;
        _log.Enter();
        DropWrites();
    }

    /// <summary>
    /// Takes the frames that were written since the last call. When it returns, the bytes that were written before a frame was told are
    /// there to be read; who writes later is told by the next call.
    /// </summary>
    /// <param name="written">Where machine frames are added, in rising order. All were the domain's when they were looked at.</param>
    public void Take(List<uint> written)
    {
        FrameTable frames = _hypervisor.Frames;
        ushort id = _domain.Id;
        _log.Take(_hypervisor.Machine.HighWater, mfn => frames[mfn].Owner == id, written);
        DropWrites();
    }

    /// <summary>
    /// Takes what is left when the domain is paused and its back ends are at rest: also all frames that the hypervisor writes without telling.
    /// </summary>
    /// <param name="written">See <see cref="Take"/>; no frame is there twice.</param>
    public void TakeLast(List<uint> written)
    {
        FrameTable frames = _hypervisor.Frames;
        uint end = _hypervisor.Machine.HighWater;
        for (uint mfn = 1; mfn < end; mfn++)
        {
            if (frames[mfn].Owner == _domain.Id && (Volatile.Read(ref frames[mfn].References) & PageInfo.HypervisorPage) != 0)
            {
                _log.Mark(mfn);
            }
        }

        foreach (Vcpu vcpu in _domain.Vcpus)
        {
            if (vcpu.RegisteredInfoMfn is { } mfn)
            {
                _log.Mark(mfn);
            }
        }

        Take(written);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        _log.Leave();
        foreach (Domain domain in _hypervisor.Domains)
        {
            domain.Memory.ForgetWrites();
        }
    }

    private void DropWrites()
    {
        foreach (Domain domain in Writers())
        {
            domain.Memory.DropWrites();
        }

        // A processor may have looked a page up before, and write by what it found until it comes by its next safe point.
        foreach (Domain domain in Writers())
        {
            Shootdown.All(domain);
        }
    }

    /// <summary>Those whose processors may have its frames mapped for writing.</summary>
    private IEnumerable<Domain> Writers() => _hypervisor.Domains.Where(domain => domain == _domain || domain.Grants.MapsAnyForeign);
}
