using Dbt.Translator.Emit;

namespace Dbt.Translator.Cache;

/// <summary>A region in a <see cref="CodeStore"/>: what it is made from, and its code.</summary>
/// <param name="shape">What it is made from.</param>
/// <param name="nanoseconds">Processor time that its compilation took.</param>
internal sealed class StoredRegion(RegionShape shape, long nanoseconds)
{
    private readonly Lock _lock = new();
    private CompiledCode? _code;
    private ReadOnlyMemory<byte> _kept;
    private bool _loaded;

    /// <summary>What it is made from.</summary>
    public RegionShape Shape { get; } = shape;

    /// <summary>Processor time that its compilation took.</summary>
    public long Nanoseconds { get; set; } = nanoseconds;

    /// <summary>Order of its last use: what has not been used for longest goes first.</summary>
    public long LastUse { get; set; }

    /// <summary>Runs of the store's guest in which nobody used it, up to this one.</summary>
    public int IdleRuns { get; set; }

    /// <summary>Whether it was used in this process.</summary>
    public bool IsUsed => LastUse != 0;

    /// <summary>Bytes that it takes, about.</summary>
    public int Bytes => Shape.Key.Length + Math.Max(_kept.Length, _code?.Machine?.Bytes.Length ?? 0);

    /// <summary>Gives it code that was compiled.</summary>
    public void Set(CompiledCode code)
    {
        lock (_lock)
        {
            _code = code;
            _kept = default;
            _loaded = true;
        }
    }

    /// <summary>Gives it code from a file: what <see cref="KeptCode.ToBytes"/> wrote.</summary>
    public void Set(ReadOnlyMemory<byte> kept) => _kept = kept;

    /// <summary>Its code for a file; empty where it has none that can be kept.</summary>
    public ReadOnlyMemory<byte> ToBytes()
    {
        lock (_lock)
        {
            return _kept.IsEmpty && _code is { Machine: not null } code ? KeptCode.Of(code).ToBytes() : _kept;
        }
    }

    /// <summary>Its code, ready to run; null where it must be compiled.</summary>
    public CompiledCode? Code
    {
        get
        {
            lock (_lock)
            {
                if (!_loaded)
                {
                    _loaded = true;
                    _code = _kept.IsEmpty ? null : KeptCode.Parse(_kept).Load();
                }

                return _code;
            }
        }
    }
}
