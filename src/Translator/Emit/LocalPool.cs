using System.Reflection.Emit;

namespace Dbt.Translator.Emit;

/// <summary>
/// The temporaries of one method, used again as soon as nothing needs them. RyuJIT keeps no more than 1024 locals in registers, inlines
/// nothing from 512 on and gives up optimising at 2000; an access to memory alone needs three.
/// </summary>
/// <remarks>
/// A local that flags are computed from lives as long as these flags are the current ones. What is put off to the end of the method has
/// locals of its own: it runs right behind a branch, when the locals of the code before are as they were there.
/// </remarks>
internal sealed class LocalPool(ILGenerator il)
{
    private readonly Dictionary<Type, Stack<LocalBuilder>> _free = [];
    private readonly List<LocalBuilder> _all = [];
    private readonly List<LocalBuilder> _taken = [];

    /// <summary>Locals declared so far.</summary>
    public int Count => _all.Count;

    /// <summary>A temporary, which is the taker's until the next release.</summary>
    public LocalBuilder Take(Type type)
    {
        if (!FreeOf(type).TryPop(out LocalBuilder? local))
        {
            local = il.DeclareLocal(type);
            _all.Add(local);
        }

        _taken.Add(local);
        return local;
    }

    /// <summary>An instruction ends: what it took is free again, but for what flags that it set need.</summary>
    /// <param name="before">The flags before it.</param>
    /// <param name="after">The flags behind it.</param>
    /// <param name="fresh">Whether these depend on nothing from before it.</param>
    public void EndInstruction(FlagValue before, FlagValue after, bool fresh)
    {
        if (!ReferenceEquals(before, after))
        {
            // Which of them the flags need only they know; all are kept.
            var needed = new HashSet<LocalBuilder>(_taken);
            if (!fresh)
            {
                needed.UnionWith(before.Locals);
            }

            if (after is not StateFlags)
            {
                after.Locals = needed;
            }

            foreach (LocalBuilder local in before.Locals)
            {
                if (!after.Locals.Contains(local))
                {
                    FreeOf(local.LocalType).Push(local);
                }
            }
        }

        foreach (LocalBuilder local in _taken)
        {
            if (!after.Locals.Contains(local))
            {
                FreeOf(local.LocalType).Push(local);
            }
        }

        _taken.Clear();
    }

    /// <summary>Another piece of code begins, which is not gone on to from the one before: all are free but those of the flags that arrive there.</summary>
    public void Restart(FlagValue arriving)
    {
        _taken.Clear();
        foreach (Stack<LocalBuilder> free in _free.Values)
        {
            free.Clear();
        }

        foreach (LocalBuilder local in _all)
        {
            if (!arriving.Locals.Contains(local))
            {
                FreeOf(local.LocalType).Push(local);
            }
        }
    }

    private Stack<LocalBuilder> FreeOf(Type type)
    {
        if (!_free.TryGetValue(type, out Stack<LocalBuilder>? free))
        {
            _free.Add(type, free = new Stack<LocalBuilder>());
        }

        return free;
    }
}
