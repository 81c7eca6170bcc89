using Dbt.Translator.Emit;

namespace Dbt.Translator.Cache;

/// <summary>
/// The code of a region, compiled, without a place: whoever has an instance for it may run it. It never changes.
/// </summary>
/// <param name="emitted">What was compiled.</param>
/// <param name="function">Its first byte.</param>
internal sealed class CompiledCode(EmittedRegion emitted, nint function)
{
    private readonly object _method = emitted.Method;

    /// <summary>The code: <c>int (CpuState*, instance)</c>.</summary>
    public nint Function { get; } = function;

    /// <summary>Its exits by number.</summary>
    public ExitSite[] Sites { get; } = [.. emitted.Sites];

    /// <summary>What its instances hold.</summary>
    public InstanceLayout Instance { get; } = emitted.Instance;

    /// <summary>Length of its IL.</summary>
    public int IlBytes { get; } = emitted.IlBytes;

    /// <summary>Compiles what was emitted. Any thread.</summary>
    public static CompiledCode Compile(EmittedRegion emitted) => new(emitted, DynamicMethodFactory.Compile(emitted.Method));

    /// <summary>Its code may still run up to here.</summary>
    public void KeepAlive() => GC.KeepAlive(_method);
}
