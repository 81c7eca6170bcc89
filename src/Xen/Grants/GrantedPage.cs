using Dbt.Xen.Memory;

namespace Dbt.Xen.Grants;

/// <summary>A guest's page mapped by a backend; dispose to give it up, exactly once.</summary>
public sealed unsafe class GrantedPage : IDisposable
{
    private readonly Domain _domain;
    private readonly uint _mfn;
    private readonly uint? _reference;
    private int _disposed;

    internal GrantedPage(Domain domain, uint mfn, bool writable, uint? reference)
    {
        _domain = domain;
        _mfn = mfn;
        _reference = reference;
        Writable = writable;
        Host = domain.Hypervisor.Machine.Frame(mfn);
    }

    /// <summary>Host address of the page's first byte. Contents are shared with the guest: fetch once, check, use.</summary>
    public byte* Host { get; }

    /// <summary>Whether it may be written.</summary>
    public bool Writable { get; }

    /// <summary>Tells that bytes of a writable page were changed, so that translated code of them is dropped.</summary>
    public void MarkWritten(int offset, int length) => _domain.Hypervisor.Machine.CodeMap.Written(Host + offset, length);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        if (_reference is { } reference)
        {
            _domain.Grants.Release(reference, Writable);
            return;
        }

        FrameTable frames = _domain.Hypervisor.Frames;
        if (Writable)
        {
            frames.PutPlainType(_mfn);
        }

        frames.Put(_mfn);
    }
}
