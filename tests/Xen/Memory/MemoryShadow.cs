using Dbt.Xen;
using Dbt.Xen.Memory;

namespace Dbt.Tests.Xen.Memory;

/// <summary>A copy of a domain's memory that is kept up as a migration does: round by round what the write log tells.</summary>
internal sealed unsafe class MemoryShadow : IDisposable
{
    private readonly Domain _domain;
    private readonly WriteLog _log;
    private readonly Dictionary<uint, byte[]> _copies = [];

    public MemoryShadow(Domain domain)
    {
        _domain = domain;
        _log = new WriteLog(domain);
        Copy(Owned());
    }

    /// <summary>Frames that the last round told.</summary>
    public List<uint> Last { get; } = [];

    /// <summary>Copies what was written since the last round.</summary>
    public int Round()
    {
        Last.Clear();
        _log.Take(Last);
        Copy(Last);
        return Last.Count;
    }

    /// <summary>The last round, of a domain that is paused: the copy must now be what the domain has.</summary>
    public void Finish()
    {
        Last.Clear();
        _log.TakeLast(Last);
        Copy(Last);
        foreach (uint mfn in Owned())
        {
            var now = new ReadOnlySpan<byte>(_domain.Hypervisor.Machine.Frame(mfn), 4096);
            Assert.True(_copies.TryGetValue(mfn, out byte[]? copy), $"frame {mfn:x} was never told");
            int at = now.CommonPrefixLength(copy);
            Assert.True(at == 4096, $"frame {mfn:x} (guest frame {_domain.GuestFrameOf(mfn):x}, {_domain.Memory.TypeOf(mfn)}): a write at {at:x} was missed");
        }
    }

    public void Dispose() => _log.Dispose();

    private void Copy(IEnumerable<uint> frames)
    {
        foreach (uint mfn in frames)
        {
            byte[] copy = _copies.TryGetValue(mfn, out byte[]? old) ? old : _copies[mfn] = new byte[4096];
            new ReadOnlySpan<byte>(_domain.Hypervisor.Machine.Frame(mfn), 4096).CopyTo(copy);
        }
    }

    private List<uint> Owned()
    {
        var frames = new List<uint>();
        for (uint mfn = 1; mfn < _domain.Hypervisor.Machine.HighWater; mfn++)
        {
            if (_domain.Memory.Owns(mfn))
            {
                frames.Add(mfn);
            }
        }

        return frames;
    }
}
