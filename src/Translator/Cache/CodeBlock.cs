using Dbt.Translator.Interpretation;
using Dbt.Translator.State;

namespace Dbt.Translator.Cache;

/// <summary>All that is known of the code at one key: host address (that is machine frame and offset), EIP and mode.</summary>
internal sealed unsafe class CodeBlock(nint host, uint eip, CpuMode mode)
{
    private DecodedBlock? _decoded;
    private int _executions;

    /// <summary>Host address of the first byte.</summary>
    public nint Host { get; } = host;

    /// <summary>EIP.</summary>
    public uint Eip { get; } = eip;

    /// <summary>Mode.</summary>
    public CpuMode Mode { get; } = mode;

    /// <summary>What the execute entry of its page holds while it is mapped here (flat code segments).</summary>
    public long ExecuteEntry => Host - (long)Eip;

    /// <summary>The interpreter's form; null before it is needed and after its bytes were written.</summary>
    public DecodedBlock? Decoded
    {
        get => _decoded;
        set
        {
            Executions = Executions;
            _decoded = value;
            Unchain();
        }
    }

    /// <summary>Executions in the interpreter since the last change of code.</summary>
    public int Executions
    {
        get => _executions + (_decoded is { } decoded && decoded.Code != null ? (int)decoded.Code->Executions : 0);
        set
        {
            _executions = value;
            if (_decoded is { } decoded && decoded.Code != null)
            {
                decoded.Code->Granted = decoded.Code->Left;
            }
        }
    }

    /// <summary>Its block's translation.</summary>
    public Translation? Quick { get; set; }

    /// <summary>The optimised region that it is an entry of.</summary>
    public Translation? Region { get; set; }

    /// <summary>The block of the same code by the address window, once that is wanted.</summary>
    public CodeBlock? Windowed { get; set; }

    /// <summary>The block of the same code without the window, where this one goes by it and is in use.</summary>
    public CodeBlock? Plain { get; set; }

    /// <summary>The code isn't to reach memory by the address window: it couldn't be made so, or reached for what the window can't have.</summary>
    public bool ShunsWindow { get; set; }

    /// <summary>Accesses by regions entered here first that the window wouldn't have, though the software TLB had been asked.</summary>
    public int VainAccesses { get; set; }

    /// <summary>An optimised region has been asked for and not yet come.</summary>
    public bool RegionPending { get; set; }

    /// <summary>The region that took it in last, besides those that it is an entry of.</summary>
    public Translation? TakenInBy { get; set; }

    /// <summary>Instructions of the region that was last asked for at this entry.</summary>
    public int RegionSize { get; set; }

    /// <summary>So many of its first instructions are not translated: the interpreter runs them, and no more. 0: not looked at, or none.</summary>
    public int Untranslatable { get; set; }

    /// <summary>Executions after which the store is asked next whether it has a region for it.</summary>
    public int NextLookUp { get; set; }

    /// <summary>Times that its region found its pages mapped differently.</summary>
    public int Remaps { get; set; }

    /// <summary>The best translation there is.</summary>
    public Translation? Best { get; private set; }

    /// <summary>Its function, 0 for none.</summary>
    public nint Function { get; private set; }

    /// <summary>Links that lead here.</summary>
    public List<Link> Incoming { get; } = [];

    /// <summary>Takes the best translation, and leads all links there.</summary>
    public void Refresh()
    {
        Translation? best = Region ?? Quick;
        if (best == Best)
        {
            return;
        }

        Best = best;
        Function = best?.Function ?? 0;
        Unchain();
        foreach (Link link in Incoming)
        {
            link.Update();
        }

        if (Function != 0 && Plain is not null)
        {
            TakeLinksOf(Plain);
        }
    }

    // Links from code that goes by the window led to what there was.
    private void TakeLinksOf(CodeBlock plain)
    {
        foreach (Link link in plain.Incoming.FindAll(static link => link.IsWindowed))
        {
            link.Connect(this);
        }
    }

    // The interpreter's blocks go on to one another by themselves, but not past a translation.
    private void Unchain()
    {
        if (_decoded is { } decoded)
        {
            decoded.Chained = Function == 0;
        }
    }
}
