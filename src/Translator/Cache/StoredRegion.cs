using Dbt.Translator.Emit;

namespace Dbt.Translator.Cache;

/// <summary>A region in a <see cref="CodeStore"/>: what it is made from, and its code.</summary>
/// <param name="shape">What it is made from.</param>
/// <param name="nanoseconds">Processor time that its compilation took.</param>
internal sealed class StoredRegion(RegionShape shape, long nanoseconds)
{
    private readonly Lock _lock = new();
    private CompiledCode? _code;
    private KeptCode? _kept;

    /// <summary>What it is made from.</summary>
    public RegionShape Shape { get; } = shape;

    /// <summary>Processor time that its compilation took.</summary>
    public long Nanoseconds { get; set; } = nanoseconds;

    /// <summary>Order of its last use: what has not been used for longest goes first.</summary>
    public long LastUse { get; set; }

    /// <summary>Times that an engine took it over or made it, in this process.</summary>
    public int Uses { get; set; }

    /// <summary>Runs of this store's guest since it was used last.</summary>
    public int IdleRuns { get; set; }

    /// <summary>Bytes that it takes, about.</summary>
    public int Bytes => Shape.Key.Length + (_code?.Machine?.Bytes.Length ?? _kept?.Machine.Bytes.Length ?? 0);

    /// <summary>Its code in a form that can be kept; null where it has none.</summary>
    public KeptCode? Kept
    {
        get
        {
            lock (_lock)
            {
                return _kept ?? (_code is { Machine: not null } code ? KeptCode.Of(code) : null);
            }
        }
    }

    /// <summary>Gives it code that was kept.</summary>
    public void Set(KeptCode kept) => _kept = kept;

    /// <summary>Gives it code that was compiled.</summary>
    public void Set(CompiledCode code)
    {
        lock (_lock)
        {
            _code = code;
            _kept = null;
        }
    }

    /// <summary>Its code, ready to run; null where it must be compiled.</summary>
    public CompiledCode? Code
    {
        get
        {
            lock (_lock)
            {
                if (_code is null && _kept is not null)
                {
                    _code = _kept.Load();
                    _kept = null;
                }

                return _code;
            }
        }
    }
}
