using System.Runtime.CompilerServices;

namespace Dbt.Translator;

/// <summary>How the host's just-in-time compiler is to treat methods of ours.</summary>
internal static class HostCompilation
{
    /// <summary>
    /// What runs between one block and the next: compiled fully when it is first run (<see cref="EngineWarmUp"/> sees to that before a guest does). Code that was compiled beforehand calls and loads
    /// by way of cells, and a boot is over before the runtime has counted enough calls to compile it anew.
    /// </summary>
    public const MethodImplOptions AtOnce = MethodImplOptions.AggressiveOptimization;
}
