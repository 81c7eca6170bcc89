using System.Runtime.InteropServices;

namespace Dbt.Translator.Cache;

/// <summary>A patchable jump from one translation to another, in its instance. Emitted code reads it at these offsets.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct LinkCell
{
    /// <summary>The function to go to, 0 while unlinked. Offset 0.</summary>
    public nint Function;

    /// <summary>The generation at which the target's pages were last seen mapped as they should be, 0 for none: it is a way (<see cref="Emit.InstanceLayout.WayGeneration"/>). Offset 8.</summary>
    public long Generation;

    /// <summary>The instance that the function takes. Offset 16.</summary>
    public nint Instance;

    /// <summary>The link's number.</summary>
    public long Number;
}

/// <summary>A direct exit of a translation to an EIP of the same mode.</summary>
/// <param name="cell">Its cell.</param>
/// <param name="number">Its number.</param>
/// <param name="target">EIP that it leads to.</param>
/// <param name="native">Which kind of code it leads from, and to.</param>
/// <param name="windowed">Whether it leads from code that goes by the address window. To such it may lead only then.</param>
internal sealed unsafe class Link(LinkCell* cell, int number, uint target, bool native, bool windowed)
{
    /// <summary>Whether it leads from code that goes by the address window. To such it may lead only then.</summary>
    public bool IsWindowed { get; } = windowed;

    /// <summary>EIP that it leads to.</summary>
    public uint Target { get; } = target;

    /// <summary>Its number among the engine's links.</summary>
    public int Number { get; } = number;

    /// <summary>The block that it is linked to.</summary>
    public CodeBlock? To { get; private set; }

    /// <summary>Its translation is gone, and its cell with it.</summary>
    public bool IsFreed { get; private set; }

    /// <summary>Leads to a block's present translation from now on, and follows it when that changes.</summary>
    public void Connect(CodeBlock block)
    {
        if (To == block)
        {
            // Of the other kind: it stays unlinked.
            return;
        }

        Disconnect();
        To = block;
        block.Incoming.Add(this);
        Update();
    }

    /// <summary>Takes over the block's translation; where there is none the link becomes unlinked.</summary>
    public void Update()
    {
        Translation? best = To!.Best;
        cell->Generation = 0;
        cell->Instance = best?.Instance ?? 0;
        cell->Function = best is not null && best.Code!.IsNative == native ? best.Function : 0;
    }

    /// <summary>Leads nowhere from now on.</summary>
    public void Disconnect()
    {
        cell->Function = 0;
        To?.Incoming.Remove(this);
        To = null;
    }

    /// <summary>Ends it.</summary>
    public void Free()
    {
        Disconnect();
        IsFreed = true;
    }
}
