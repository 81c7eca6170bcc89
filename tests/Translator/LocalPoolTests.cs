using System.Reflection.Emit;
using Dbt.Translator.Emit;

namespace Dbt.Tests.Translator;

/// <summary>Temporaries of translated code: used again, but for those that flags need.</summary>
public sealed class LocalPoolTests
{
    private readonly LocalPool _pool = new(new DynamicMethod("pool", typeof(void), []).GetILGenerator());

    [Fact]
    public void AnInstructionsLocalsAreFreeBehindIt()
    {
        LocalBuilder first = _pool.Take(typeof(int)), second = _pool.Take(typeof(int));
        Assert.NotSame(first, second);
        _pool.EndInstruction(StateFlags.Instance, StateFlags.Instance, fresh: false);
        for (int i = 0; i < 100; i++)
        {
            Assert.Contains(_pool.Take(typeof(int)), new[] { first, second });
            _pool.EndInstruction(StateFlags.Instance, StateFlags.Instance, fresh: false);
        }

        Assert.Equal(typeof(long), _pool.Take(typeof(long)).LocalType);
        Assert.Equal(3, _pool.Count);
    }

    [Fact]
    public void WhatFlagsNeedStaysAsLongAsTheyAreCurrent()
    {
        LocalBuilder kept = _pool.Take(typeof(int));
        var flags = new LogicFlags(4, Value.Local(kept));
        _pool.EndInstruction(StateFlags.Instance, flags, fresh: true);
        LocalBuilder other = _pool.Take(typeof(int));
        Assert.NotSame(kept, other);
        _pool.EndInstruction(flags, flags, fresh: false);

        // Flags that depend on the earlier ones need their locals too; those that don't set them free.
        LocalBuilder third = _pool.Take(typeof(int));
        var step = new StepFlags(4, true, Value.Local(third), flags);
        _pool.EndInstruction(flags, step, fresh: false);
        Assert.Contains(kept, step.Locals);
        LocalBuilder fourth = _pool.Take(typeof(int));
        Assert.DoesNotContain(fourth, new[] { kept, third });
        _pool.EndInstruction(step, StateFlags.Instance, fresh: false);
        var free = new HashSet<LocalBuilder> { _pool.Take(typeof(int)), _pool.Take(typeof(int)), _pool.Take(typeof(int)) };
        Assert.Contains(kept, free);
        Assert.Equal(3, _pool.Count);
    }

    [Fact]
    public void WhereCodeBeginsAnewOnlyTheArrivingFlagsHoldLocals()
    {
        LocalBuilder kept = _pool.Take(typeof(int));
        var flags = new LogicFlags(4, Value.Local(kept));
        _pool.EndInstruction(StateFlags.Instance, flags, fresh: true);
        _pool.Take(typeof(int));
        _pool.Restart(flags);
        Assert.NotSame(kept, _pool.Take(typeof(int)));
        _pool.Restart(StateFlags.Instance);
        var free = new HashSet<LocalBuilder> { _pool.Take(typeof(int)), _pool.Take(typeof(int)) };
        Assert.Contains(kept, free);
        Assert.Equal(2, _pool.Count);
    }
}
